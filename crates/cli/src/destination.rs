// SPDX-License-Identifier: Apache-2.0
//! The destination of a command's output. A regular file is replaced atomically, and is checked to be writable before the
//! work begins.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use anyhow::Context;
use tempfile::NamedTempFile;

use crate::output;

/// The maximum number of symbolic links to follow, as on Linux.
///
/// Source: <https://man7.org/linux/man-pages/man7/path_resolution.7.html>
const MAX_LINKS: usize = 40;

/// The folders of process descriptors and devices. Files there are written directly, even regular ones: the shell that
/// opened them may continue to write.
const WRITTEN_DIRECTLY: [&str; 2] = ["/dev", "/proc"];

/// A destination that can be written once. If it is dropped before that, nothing changes.
#[derive(Debug)]
pub struct Destination {
    path: PathBuf,
    to: To,
}

#[derive(Debug)]
enum To {
    StandardOutput,
    /// A device or a pipe, which can't be replaced.
    Stream(File),
    /// The temporary file that will replace `Destination::path`.
    File(NamedTempFile),
}

impl Destination {
    /// Opens a path for writing; `-` is standard output. Waits for the reader of a pipe, as a shell does.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if [Path::new("-"), Path::new("/dev/stdout")].contains(&path) {
            return Ok(Self { path: path.to_owned(), to: To::StandardOutput });
        }
        let opened = target(path).and_then(|path| Ok(Self { to: To::open(&path)?, path }));
        opened.with_context(|| format!("can't write to {}", path.display()))
    }

    /// Writes the whole output. A closed pipe is not an error.
    ///
    /// # Errors
    ///
    /// If not everything was written. A regular file is then unchanged.
    pub fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = match self.to {
            To::StandardOutput => return output::write(bytes),
            To::Stream(stream) => write_directly(&stream, bytes),
            To::File(temporary) => replace(temporary, &self.path, bytes),
        };
        written.with_context(|| format!("could not write {}", self.path.display()))
    }
}

impl To {
    fn open(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if found.is_file() && !WRITTEN_DIRECTLY.iter().any(|at| path.starts_with(at)) => {
                // A file that is not writable must not be replaced either.
                drop(OpenOptions::new().write(true).open(path)?);
                let temporary = temporary_for(path, 0o600)?;
                // Without permission to change the owner, the file belongs to this process.
                let _ = fchown(temporary.as_file(), Some(found.uid()), Some(found.gid()));
                temporary.as_file().set_permissions(found.permissions())?;
                Ok(Self::File(temporary))
            }
            Ok(_) => Ok(Self::Stream(OpenOptions::new().write(true).open(path)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::File(temporary_for(path, 0o666)?))
            }
            Err(error) => Err(error),
        }
    }
}

/// Resolves symbolic links, so that their target is written and the links stay.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if WRITTEN_DIRECTLY.iter().any(|at| path.starts_with(at)) || !path.is_symlink() {
            return Ok(path);
        }
        let leads_to = fs::read_link(&path)?;
        path = path.parent().unwrap_or(Path::new("")).join(leads_to);
    }
    Err(io::Error::other("too many symbolic links"))
}

/// A temporary file in the folder of a path. The process's umask applies to the mode.
fn temporary_for(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    // A path that ends with a slash is a folder.
    if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    tempfile::Builder::new()
        .prefix(".cloudwatch-fleet-")
        .suffix(".tmp")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(path.parent().unwrap_or(Path::new("")))
}

fn write_directly(mut stream: &File, bytes: &[u8]) -> io::Result<()> {
    // Truncated as by a shell's `>`, but only once there is something to write.
    if stream.metadata()?.is_file() {
        stream.set_len(0)?;
    }
    match stream.write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Synced to disk first, so that a crash leaves either the old or the new file.
fn replace(mut temporary: NamedTempFile, path: &Path, bytes: &[u8]) -> io::Result<()> {
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::fs::symlink, process::Command, thread};

    use tempfile::{TempDir, tempdir};

    use super::*;

    fn folder() -> TempDir {
        tempdir().expect("a folder")
    }

    fn write(path: &Path, text: &str) -> anyhow::Result<()> {
        Destination::open(path)?.write(text.as_bytes())
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).expect("a file")
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("a file").permissions().mode() & 0o7777
    }

    /// The names in a folder.
    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_as_it_was_until_all_is_written() {
        let folder = folder();
        let path = folder.path().join("r.csv");
        fs::write(&path, "old").expect("written");
        let destination = Destination::open(&path).expect("it can be written");
        assert_eq!((names(&folder).len(), read(&path).as_str()), (2, "old"));
        destination.write(b"new").expect("written");
        assert_eq!((names(&folder), read(&path).as_str()), (vec!["r.csv".to_owned()], "new"));
    }

    #[test]
    fn what_is_not_written_leaves_nothing_behind() {
        let folder = folder();
        let path = folder.path().join("r.csv");
        drop(Destination::open(&path).expect("it can be written"));
        assert_eq!(names(&folder), [""; 0]);
        fs::write(&path, "old").expect("written");
        drop(Destination::open(&path).expect("it can be written"));
        assert_eq!((names(&folder), read(&path).as_str()), (vec!["r.csv".to_owned()], "old"));
    }

    #[test]
    fn permissions_are_those_of_a_plain_write() {
        let folder = folder();
        let (plain, new, kept) =
            (folder.path().join("plain"), folder.path().join("new"), folder.path().join("kept"));
        fs::write(&plain, "").expect("written");
        write(&new, "new").expect("written");
        assert_eq!(mode(&new), mode(&plain));
        fs::write(&kept, "old").expect("written");
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o664)).expect("set");
        write(&kept, "new").expect("written");
        assert_eq!((mode(&kept), read(&kept).as_str()), (0o664, "new"));
    }

    #[test]
    fn links_are_written_through() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("other")).expect("made");
        fs::write(at("other/r.csv"), "old").expect("written");
        symlink("other/r.csv", at("first")).expect("linked");
        symlink("first", at("second")).expect("linked");
        symlink("other/new.csv", at("dangling")).expect("linked");
        for (link, target) in [("second", "other/r.csv"), ("dangling", "other/new.csv")] {
            write(&at(link), "new").expect("written");
            assert!(at(link).is_symlink());
            assert_eq!(read(&at(target)), "new");
        }
        symlink("loop", at("loop")).expect("linked");
        let error = write(&at("loop"), "new").expect_err("it has no end");
        assert!(format!("{error:#}").contains("too many symbolic links"), "{error:#}");
    }

    #[test]
    fn a_pipe_is_written_directly() {
        let folder = folder();
        let path = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().expect("it runs").success());
        let reader = thread::spawn({
            let path = path.clone();
            move || {
                let mut text = String::new();
                File::open(path).expect("a pipe").read_to_string(&mut text).expect("text");
                text
            }
        });
        write(&path, "new").expect("written");
        assert_eq!(reader.join().expect("it ends"), "new");
        assert_eq!(names(&folder), ["pipe"], "it is still there, and nothing else is");
    }

    #[test]
    fn a_device_is_written_directly_and_says_that_it_is_full() {
        write(Path::new("/dev/null"), "new").expect("written");
        let error = write(Path::new("/dev/full"), "new").expect_err("no room");
        assert!(format!("{error:#}").contains("could not write /dev/full: No space left"), "{error:#}");
    }

    #[test]
    fn a_file_that_a_shell_opened_is_written_where_the_shell_writes() {
        use std::os::fd::AsRawFd;
        let folder = folder();
        let path = folder.path().join("r.csv");
        fs::write(&path, "something longer").expect("written");
        let opened = OpenOptions::new().write(true).open(&path).expect("a file");
        write(Path::new(&format!("/dev/fd/{}", opened.as_raw_fd())), "new").expect("written");
        assert_eq!(read(&path), "new");
        let inode = |file: &fs::Metadata| file.ino();
        assert_eq!(inode(&opened.metadata().expect("it is")), inode(&fs::metadata(&path).expect("it is")));
    }

    #[test]
    fn what_can_not_be_written_is_refused_before() {
        let folder = folder();
        for (path, why) in [
            ("", "is a directory"),
            ("no-such-folder/r.csv", "No such file or directory"),
            ("new/", "is a directory"),
        ] {
            let path = folder.path().join(path);
            let error = format!("{:#}", Destination::open(&path).expect_err("it can't"));
            assert!(error.starts_with(&format!("can't write to {}: ", path.display())), "{error}");
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(names(&folder), [""; 0]);
    }
}
