// SPDX-License-Identifier: Apache-2.0
//! Terraform's own checks as tests, offline: that every file is formatted, and that every stack and module is valid
//! and passes its tests. Folders are found by looking, so that a new module is checked from its first file on.
//!
//! Each trial works on a copy of `terraform/` under `target/`: nothing is written to the source tree, and trials in
//! processes of their own do not meet. Where there is no `terraform`, or no AWS provider, trials are ignored and a
//! line says so; with `FLEET_REQUIRE_TERRAFORM=1` they fail.
//!
//! One more plans from the state of the earlier layout, so that an update destroys nothing that is deployed.

use std::{
    env, fs,
    fs::File,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Once,
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;
use tempfile::TempDir;

/// Where the stack and its modules are.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../terraform");

const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// The gate sets this, so that it can't pass with checks left out.
const REQUIRE: &str = "FLEET_REQUIRE_TERRAFORM";

/// The provider that the stack is made of.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws";

/// Terraform's record of which provider it took.
const LOCK_FILE: &str = ".terraform.lock.hcl";

const NO_TERRAFORM: &str = "terraform's checks (not on the PATH); install Terraform 1.11 or later from \
     https://developer.hashicorp.com/terraform/install";

const NO_PROVIDER: &str = "terraform's checks that need the provider hashicorp/aws (in no mirror, and the registry \
     can't be reached); go online, or name a CLI configuration with a filesystem_mirror in TF_CLI_CONFIG_FILE";

/// What the stack made when its queue and its fleet were one each: a state that was applied, with the table of one
/// dataset alone.
const EARLIER_STATE: &str = "tests/earlier.tfstate.json";

/// No process listens on the discard port.
const UNREACHABLE: &str = "http://127.0.0.1:9";

/// One line says that the provider is missing, however many folders need it.
static SAID: Once = Once::new();

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let here = on_path("terraform");
    let folders = match folders(Path::new(SOURCE)) {
        Ok(folders) => folders,
        Err(error) => {
            say(&format!("can't list terraform/: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let mut trials = vec![trial("every_file_is_formatted".to_owned(), formatting)];
    for folder in folders {
        let name = format!("{}_is_valid_and_its_tests_pass", shown(&folder));
        trials.push(trial(name, move || whole(&folder)));
    }
    trials.push(trial("what_is_deployed_is_moved_and_not_made_anew".to_owned(), update));
    // A listing shows them as ignored only where that is already known.
    let ignored = !here && !required();
    let trials: Vec<_> = trials.into_iter().map(|trial| trial.with_ignored_flag(ignored)).collect();
    if ignored && !arguments.list && trials.iter().any(|trial| !arguments.is_filtered_out(trial)) {
        say(&format!("left out: {NO_TERRAFORM}"));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: String, check: impl FnOnce() -> Result<Completion> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, || {
        if !on_path("terraform") {
            return Err(Failed::from(NO_TERRAFORM));
        }
        check().map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// `terraform fmt` would change nothing.
fn formatting() -> Result<Completion> {
    Workshop::new(UNREACHABLE)?.terraform(Path::new(""), &["fmt", "-check", "-recursive", "-diff"])?;
    Ok(Completion::Completed)
}

/// A folder is valid, and passes the tests that it must have.
fn whole(folder: &Path) -> Result<Completion> {
    let workshop = Workshop::new(UNREACHABLE)?;
    let mut init = vec!["init", "-backend=false", "-input=false"];
    if workshop.tree.join(folder).join(LOCK_FILE).exists() {
        init.push("-lockfile=readonly");
    }
    if let Some(left_out) = workshop.left_out(folder, &init)? {
        return Ok(left_out);
    }
    workshop.terraform(folder, &["validate"])?;
    ensure!(workshop.has_tests(folder)?, "{} has no tests: tests/*.tftest.hcl", shown(folder));
    let said = workshop.terraform(folder, &["test"])?;
    ensure!(!said.contains("Success! 0 passed"), "{}: tests/ holds no run\n{said}", shown(folder));
    Ok(Completion::Completed)
}

/// A plan from the state of the earlier layout destroys nothing, replaces nothing, and makes nothing but what the state
/// does not have.
fn update() -> Result<Completion> {
    let folder = Path::new("examples/complete");
    let workshop = Workshop::new(&identity()?)?;
    if let Some(left_out) = workshop.left_out(folder, &["init", "-backend=false", "-input=false"])? {
        return Ok(left_out);
    }
    fs::copy(workshop.tree.join(EARLIER_STATE), workshop.tree.join(folder).join("terraform.tfstate"))?;
    let variables = [
        "-var=name=loopback",
        "-var=region=eu-west-1",
        r#"-var=accounts={data={id="111111111111"}}"#,
        r#"-var=alarm_emails=["finops@example.com"]"#,
    ];
    let plan = [&["plan", "-refresh=false", "-out=plan"][..], &variables].concat();
    workshop.terraform(folder, &plan)?;
    let plan: Value = serde_json::from_str(&workshop.terraform(folder, &["show", "-json", "plan"])?)?;
    let changes = plan["resource_changes"].as_array().context("no changes")?;
    let (mut wrong, mut moved) = (Vec::new(), 0);
    for change in changes {
        moved += usize::from(change["previous_address"].is_string());
        let actions = change["change"]["actions"].to_string();
        let is_new = actions == r#"["create"]"# && change["type"] == "aws_glue_catalog_table";
        // A revision of a task is never changed: each release makes a new one.
        let is_revision = actions == r#"["create","delete"]"# && change["type"] == "aws_ecs_task_definition";
        if !is_new && !is_revision && ![r#"["no-op"]"#, r#"["update"]"#, r#"["read"]"#].contains(&&*actions) {
            wrong.push(format!("{} {actions}", change["address"]));
        }
    }
    ensure!(wrong.is_empty(), "an update of what is deployed would\n{}", wrong.join("\n"));
    ensure!(moved >= 86, "only {moved} resources are found under their new addresses");
    Ok(Completion::Completed)
}

/// Where AWS answers what a plan asks of it: who asks, and which zones there are.
fn identity() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that is cut off is the provider's to open again.
            let _ = answer(stream);
        }
    });
    Ok(format!("http://{address}"))
}

fn answer(mut stream: TcpStream) -> Result<()> {
    let (mut request, mut part) = (String::new(), [0; 4096]);
    // The body is a form that begins with the action.
    while !request.contains("Action=") {
        let read = stream.read(&mut part)?;
        ensure!(read > 0, "no action in {request}");
        request.push_str(&String::from_utf8_lossy(part.get(..read).unwrap_or_default()));
    }
    let body = if request.contains("Action=GetCallerIdentity") {
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>999999999999</Account><UserId>A</UserId>\
         <Arn>arn:aws:iam::999999999999:root</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
    } else {
        "<DescribeAvailabilityZonesResponse><availabilityZoneInfo>\
         <item><zoneName>eu-west-1a</zoneName><zoneId>euw1-az1</zoneId><zoneState>available</zoneState></item>\
         <item><zoneName>eu-west-1b</zoneName><zoneId>euw1-az2</zoneId><zoneState>available</zoneState></item>\
         </availabilityZoneInfo></DescribeAvailabilityZonesResponse>"
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// A copy of `terraform/` in which one trial may do as it likes.
struct Workshop {
    folder: TempDir,
    tree: PathBuf,
    configuration: PathBuf,
    /// Where calls of AWS go.
    endpoint: String,
}

impl Workshop {
    fn new(endpoint: &str) -> Result<Self> {
        fs::create_dir_all(SCRATCH)?;
        let folder = tempfile::Builder::new().prefix("terraform-").tempdir_in(SCRATCH)?;
        let tree = folder.path().join("terraform");
        copy(Path::new(SOURCE), &tree).context("copy terraform/")?;
        // Those of the stack and its example are committed and checked. A module's is only left over from a local `init`.
        for module in folders(&tree)?.iter().filter(|folder| folder.starts_with("modules")) {
            match fs::remove_file(tree.join(module).join(LOCK_FILE)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let configuration = match env::var_os("TF_CLI_CONFIG_FILE").map(PathBuf::from) {
            Some(path) if path.is_file() => path.canonicalize()?,
            _ => {
                let path = folder.path().join("terraform.rc");
                fs::write(&path, cli_configuration(mirror().as_deref())?)?;
                path
            }
        };
        Ok(Self { folder, tree, configuration, endpoint: endpoint.to_owned() })
    }

    /// Initializes a folder, or tells that its trial is left out, since the provider can't be had.
    fn left_out(&self, folder: &Path, init: &[&str]) -> Result<Option<Completion>> {
        let Err(error) = self.init(folder, init) else { return Ok(None) };
        // Whose fault is it: the folder's, or that of a machine on which nothing that needs the provider can run?
        if self.has_provider()? {
            return Err(error);
        }
        ensure!(!required(), "{NO_PROVIDER}\n{error:#}");
        SAID.call_once(|| say(&format!("left out: {NO_PROVIDER}")));
        Ok(Some(Completion::ignored_with("no provider hashicorp/aws")))
    }

    /// Runs `terraform init`, one at a time on this machine: the cache for downloads takes no two at once.
    fn init(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        let turn = File::create(Path::new(SCRATCH).join("terraform-init.lock"))?;
        turn.lock()?;
        self.terraform(folder, arguments)
    }

    /// Whether the provider can be had at all, in whichever version.
    fn has_provider(&self) -> Result<bool> {
        let probe = self.tree.join("probe");
        fs::create_dir_all(&probe)?;
        let needs = "terraform {\n  required_providers {\n    aws = { source = \"hashicorp/aws\" }\n  }\n}\n";
        fs::write(probe.join("main.tf"), needs)?;
        Ok(self.init(Path::new("probe"), &["init", "-backend=false", "-input=false"]).is_ok())
    }

    fn has_tests(&self, folder: &Path) -> Result<bool> {
        let tests = self.tree.join(folder).join("tests");
        if !tests.is_dir() {
            return Ok(false);
        }
        Ok(entries(&tests)?.iter().any(|path| path.to_string_lossy().ends_with(".tftest.hcl")))
    }

    /// Runs Terraform in a folder and gives what it said, which is the error where it fails.
    fn terraform(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("terraform");
        command.current_dir(self.tree.join(folder)).arg(arguments[0]).arg("-no-color").args(&arguments[1..]);
        // The user's environment is not used, and no call reaches AWS.
        for (name, _) in env::vars_os() {
            if ["AWS_", "TF_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .env("AWS_ACCESS_KEY_ID", "made-up")
            .env("AWS_SECRET_ACCESS_KEY", "made-up")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_REGION", "eu-west-1")
            .env("CHECKPOINT_DISABLE", "1")
            // Saves a third of the CPU time: each test run starts the provider again, whose garbage collection is useless.
            .env("GOGC", "400")
            .env("TF_CLI_CONFIG_FILE", &self.configuration)
            .env("TF_DATA_DIR", self.folder.path().join("data"))
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .stdin(Stdio::null());
        let output = command.output().context("terraform does not start")?;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let said = said.concat();
        if !output.status.success() {
            bail!("terraform {} in {}: {}\n{said}", arguments.join(" "), shown(folder), output.status);
        }
        Ok(said)
    }
}

/// The folders of stacks and modules, as paths in `tree`; the root's is empty.
fn folders(tree: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut ahead = vec![PathBuf::new()];
    while let Some(folder) = ahead.pop() {
        let mut holds = false;
        for path in entries(&tree.join(&folder))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_file() {
                // An example is a folder that can be applied, and has a main.tf.
                let is_code = path.extension().is_some_and(|extension| extension == "tf");
                holds |= name == "main.tf" || (is_code && !folder.starts_with("examples"));
            } else if !name.starts_with('.') && !["tests", "loopback"].contains(&&*name) {
                ahead.push(folder.join(name));
            }
        }
        if holds {
            found.push(folder);
        }
    }
    ensure!(!found.is_empty(), "no folder in {} holds a *.tf file", tree.display());
    found.sort();
    Ok(found)
}

/// The name of a folder in messages and trials.
fn shown(folder: &Path) -> String {
    Path::new("terraform").join(folder).display().to_string().trim_end_matches('/').to_owned()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}

/// Copies a folder, without what Terraform leaves behind in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for path in entries(from)? {
        let name = path.file_name().unwrap_or_default();
        if path.is_file() {
            fs::copy(&path, to.join(name))?;
        } else if path.is_dir() && name != ".terraform" {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}

/// The plugin folder that holds the provider: one of those in which Terraform looks without being told, or one that an
/// administrator put into /opt.
/// Source: <https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories>
fn mirror() -> Option<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let data_home = env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or(home.as_ref().map(|home| home.join(".local/share")));
    let data = env::var_os("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    let mut places: Vec<PathBuf> = home.into_iter().map(|home| home.join(".terraform.d/plugins")).collect();
    places.extend(
        data_home.into_iter().chain(env::split_paths(&data)).map(|data| data.join("terraform/plugins")),
    );
    places.extend(entries(Path::new("/opt")).unwrap_or_default());
    places.into_iter().find(|place| place.join(PROVIDER).is_dir())
}

/// Where Terraform gets the provider: the mirror and nowhere else, or the registry, once for all folders.
fn cli_configuration(mirror: Option<&Path>) -> Result<String> {
    let Some(mirror) = mirror else {
        let cache = Path::new(SCRATCH).join("terraform-plugins");
        fs::create_dir_all(&cache)?;
        return Ok(format!(
            "disable_checkpoint = true\nplugin_cache_dir = {:?}\nplugin_cache_may_break_dependency_lock_file = true\n",
            cache.display().to_string(),
        ));
    };
    Ok(format!(
        "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path    = {:?}\n    \
         include = [\"{PROVIDER}\"]\n  }}\n}}\n",
        mirror.display().to_string(),
    ))
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn required() -> bool {
    env::var_os(REQUIRE).is_some_and(|value| !value.is_empty() && value != "0")
}

#[expect(clippy::print_stderr, reason = "a check that is left out says so")]
fn say(line: &str) {
    eprintln!("{line}");
}
