// SPDX-License-Identifier: Apache-2.0
//! Selects dead letters.

use fleet::{AccountName, Reason, RunQuery, run_id::AmbiguousRun};

use super::{Found, Letter};

/// A filter on dead letters: all conditions must match.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// Any account if empty.
    pub(crate) accounts: Vec<AccountName>,
    /// Any run if `None`.
    pub(crate) run: Option<RunQuery>,
    /// Any reason if empty.
    pub(crate) reasons: Vec<Reason>,
}

impl Selection {
    /// Whether it excludes anything.
    pub(crate) fn is_narrowed(&self) -> bool {
        !self.accounts.is_empty() || self.run.is_some() || !self.reasons.is_empty()
    }

    pub(crate) fn matches(&self, letter: &Letter) -> bool {
        let labels = &letter.dead.labels;
        let of_account = self.accounts.is_empty()
            || self.accounts.iter().any(|name| labels.account_name.as_ref() == Some(name));
        let for_reason = self.reasons.is_empty()
            || self.reasons.iter().any(|reason| reason.code() == letter.dead.reason());
        let of_run = self
            .run
            .as_ref()
            .is_none_or(|run| labels.run_id.as_ref().is_some_and(|run_id| run.may_be(run_id)));
        of_account && for_reason && of_run
    }

    /// The same, with the whole ID of the one run among the letters that the query matches.
    pub(crate) fn resolved<'a>(
        &self,
        letters: impl IntoIterator<Item = &'a Letter>,
    ) -> Result<Self, AmbiguousRun> {
        let mut resolved = self.clone();
        if let Some(run) = &self.run {
            let known = letters.into_iter().filter_map(|letter| letter.dead.labels.run_id.as_ref());
            if let Some(run_id) = run.choose(known)? {
                resolved.run = Some(run_id.into());
            }
        }
        Ok(resolved)
    }

    /// The filter in words; `None` if it matches everything.
    pub(crate) fn words(&self) -> Option<String> {
        let mut words = Vec::new();
        if let Some(run) = &self.run {
            words.push(format!("of run {run}"));
        }
        if !self.accounts.is_empty() {
            let names: Vec<&str> = self.accounts.iter().map(AccountName::as_str).collect();
            words.push(format!("of {}", names.join(", ")));
        }
        if !self.reasons.is_empty() {
            let codes: Vec<&str> = self.reasons.iter().map(|reason| reason.code()).collect();
            words.push(format!("with the reason {}", codes.join(", ")));
        }
        (!words.is_empty()).then(|| words.join(" and "))
    }
}

impl Found {
    /// Moves what is not selected to `others`. The run of the selection must be a whole ID.
    pub(crate) fn filtered(mut self, selection: &Selection) -> Self {
        (self.letters, self.others) = self.letters.into_iter().partition(|letter| selection.matches(letter));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::letter, *};

    #[test]
    fn all_conditions_must_match() {
        let letters = [
            letter("a", "r-1", "panic", ""),
            letter("b", "r-1", "deadline", ""),
            letter("a", "r-2", "panic", ""),
        ];
        let taken = |accounts: &[&str], run_id: Option<&str>, reasons: &[Reason]| {
            let selection = Selection {
                accounts: accounts.iter().map(|name| name.parse().expect("a name")).collect(),
                run: run_id.map(|id| id.parse().expect("a run id")),
                reasons: reasons.to_vec(),
            };
            (letters.each_ref().map(|letter| selection.matches(letter)), selection.words())
        };
        assert_eq!(taken(&[], None, &[]), ([true; 3], None));
        assert_eq!(taken(&["a"], None, &[]), ([true, false, true], Some("of a".into())));
        assert_eq!(taken(&["a", "b"], Some("r-1"), &[]).0, [true, true, false]);
        assert_eq!(taken(&[], Some("r-2"), &[]).0, [false, false, true]);
        assert_eq!(taken(&[], None, &[Reason::Deadline]).0, [false, true, false]);
        assert_eq!(taken(&[], None, &[Reason::Deadline, Reason::Panic]).0, [true; 3]);
        assert_eq!(
            taken(&["a"], Some("r-1"), &[Reason::Panic]),
            ([true, false, false], Some("of run r-1 and of a and with the reason panic".into()))
        );
        let (one, other) = ("019a6b0c-1111-7222-8333-444455556666", "019a6b0c-2222-7222-8333-444455556666");
        let letters = [letter("a", one, "panic", ""), letter("a", other, "panic", "")];
        let of_run =
            |text: &str| Selection { run: Some(text.parse().expect("an id")), ..Selection::default() };
        let resolved = of_run("019A6B0C-2").resolved(&letters).expect("one of them");
        assert_eq!(letters.each_ref().map(|letter| resolved.matches(letter)), [false, true]);
        assert_eq!(resolved.words(), Some(format!("of run {other}")));
        let error = of_run("019A6B0C").resolved(&letters).expect_err("both").to_string();
        assert!(error.contains(one) && error.contains(other), "{error}");
        let mut nameless = letter("a", "r-1", "bad_message", "");
        nameless.dead.labels = fleet::Labels::default();
        let of_a = Selection { accounts: vec!["a".parse().expect("a name")], ..Selection::default() };
        assert!(Selection::default().matches(&nameless) && !of_a.matches(&nameless));
    }
}
