//! The steps at which workers are killed, and which comes when: a deck of cards, shuffled by seed.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

/// A moment in a job's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The queue has given a job away, and the worker does not know yet.
    Receive,
    /// The account's buckets are being listed.
    Discover,
    /// CloudWatch is being asked.
    Collect,
    /// CloudWatch failed for some, what it has answered is stored, and the worker does not know yet.
    Checkpoint,
    /// CloudWatch has answered all, and the report is not on its way yet.
    Render,
    /// The report is on its way, and nothing of it is there.
    BeforeUpload,
    /// The report is half-way.
    DuringUpload,
    /// The report stands, and the worker does not know yet.
    AfterUpload,
    /// The job is about to be deleted.
    BeforeDelete,
    /// The job is deleted, and the worker does not know yet.
    AfterDelete,
    /// The dead letter is about to be sent.
    BeforeDeadLetter,
    /// The dead letter is sent, and the worker does not know yet.
    AfterDeadLetter,
    /// Any moment, from the worker's start on.
    Random,
}

impl Step {
    /// All of them, in a job's order.
    pub(crate) const ALL: [Self; 13] = [
        Self::Receive,
        Self::Discover,
        Self::Collect,
        Self::Checkpoint,
        Self::Render,
        Self::BeforeUpload,
        Self::DuringUpload,
        Self::AfterUpload,
        Self::BeforeDelete,
        Self::AfterDelete,
        Self::BeforeDeadLetter,
        Self::AfterDeadLetter,
        Self::Random,
    ];

    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Discover => "discover",
            Self::Collect => "collect",
            Self::Checkpoint => "after checkpoint",
            Self::Render => "render",
            Self::BeforeUpload => "before upload",
            Self::DuringUpload => "during upload",
            Self::AfterUpload => "after upload",
            Self::BeforeDelete => "before delete",
            Self::AfterDelete => "after delete",
            Self::BeforeDeadLetter => "before dead-letter send",
            Self::AfterDeadLetter => "after dead-letter send",
            Self::Random => "random moment",
        }
    }
}

/// How one worker is to live and die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Card {
    /// Where it dies.
    pub(crate) step: Step,
    /// How many jobs it may have in hand.
    pub(crate) concurrency: u8,
    /// How long it works in peace first. For a random moment: how long it lives.
    pub(crate) peace: Duration,
    /// How long it still lives once it is at its step.
    pub(crate) respite: Duration,
}

/// The cards that are left.
#[derive(Debug)]
pub(crate) struct Deck {
    cards: VecDeque<Card>,
    /// How many workers it kills in all.
    kills: usize,
    /// How many cards may still be added for steps that were missed.
    spare: usize,
}

impl Deck {
    /// So many cards: every step once in each round of the steps, in an order by seed.
    pub(crate) fn shuffled(kills: u32, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut cards = VecDeque::new();
        while cards.len() < kills as usize {
            let mut steps = Step::ALL;
            random.shuffle(&mut steps);
            cards.extend(steps.map(|step| Card::drawn(step, &mut random)));
        }
        // The last of them may be cut short: the named steps go before a random moment.
        let last = cards.len() - Step::ALL.len();
        cards.make_contiguous()[last..].sort_by_key(|card| card.step == Step::Random);
        cards.truncate(kills as usize);
        Self { kills: cards.len(), spare: cards.len().div_ceil(4), cards }
    }

    /// How many workers it kills in all: as many as were asked for, and one more for each card that was added.
    pub(crate) fn kills(&self) -> usize {
        self.kills
    }

    /// The next one.
    pub(crate) fn draw(&mut self) -> Option<Card> {
        self.cards.pop_front()
    }

    /// Takes a card back whose worker left before it could be killed.
    pub(crate) fn put_back(&mut self, card: Card) {
        self.cards.push_front(card);
    }

    /// A worker was not where its card said, and counts as killed at a random moment. Another one gets
    /// its step: in place of the next random moment where one is left, else besides all others.
    pub(crate) fn missed(&mut self, card: Card) {
        if let Some(other) = self.cards.iter_mut().find(|other| other.step == Step::Random) {
            *other = card;
        } else if let Some(spare) = self.spare.checked_sub(1) {
            self.spare = spare;
            self.kills += 1;
            self.cards.push_back(card);
        }
    }
}

impl Card {
    fn drawn(step: Step, random: &mut Rng) -> Self {
        let (peace, respite) = match step {
            Step::Random => (random.u64(0..1_500_000), 0),
            // Between the last answer and the upload there is next to no time.
            Step::Render => (random.u64(0..300_000), random.u64(0..3_000)),
            _ => (random.u64(0..300_000), random.u64(0..20_000)),
        };
        let concurrency = random.u8(1..=3);
        Self {
            step,
            // What another job asks of CloudWatch, or stores, could not be told from what this one does.
            concurrency: if matches!(step, Step::Checkpoint | Step::Render) { 1 } else { concurrency },
            peace: Duration::from_micros(peace),
            respite: Duration::from_micros(respite),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(deck: &Deck) -> Vec<usize> {
        Step::ALL.iter().map(|step| deck.cards.iter().filter(|card| card.step == *step).count()).collect()
    }

    #[test]
    fn steps_take_turns_and_the_same_seed_gives_the_same_deck() {
        assert_eq!(Deck::shuffled(600, 7).cards, Deck::shuffled(600, 7).cards);
        assert_ne!(Deck::shuffled(600, 7).cards, Deck::shuffled(600, 8).cards);
        assert_eq!(counts(&Deck::shuffled(650, 7)), [50; 13]);
    }

    #[test]
    fn a_deck_that_does_not_come_out_even_is_short_of_random_moments_first() {
        let counts = counts(&Deck::shuffled(23, 3));
        assert_eq!((counts[..12].iter().sum::<usize>(), counts[12]), (22, 1));
        assert!(Deck::shuffled(23, 3).cards.len() == 23);
    }

    #[test]
    fn a_step_that_was_missed_takes_the_place_of_a_random_moment() {
        let mut deck = Deck::shuffled(26, 1);
        let drawn = std::iter::from_fn(|| deck.draw()).find(|card| card.step == Step::Render);
        let (render, left) = (drawn.expect("one in thirteen"), deck.cards.len());
        let before = counts(&deck);
        deck.missed(render);
        let after = counts(&deck);
        assert_eq!((after[4], after[12], deck.cards.len()), (before[4] + 1, before[12] - 1, left));
        assert_eq!(deck.kills(), 26);
    }

    #[test]
    fn where_no_random_moment_is_left_a_missed_step_comes_once_more_and_not_for_ever() {
        let mut deck = Deck::shuffled(12, 1);
        let render =
            deck.cards.iter().copied().find(|card| card.step == Step::Render).expect("one of twelve");
        (0..100).for_each(|_| deck.missed(render));
        assert_eq!((counts(&deck)[4], deck.cards.len(), deck.kills()), (4, 15, 15));
    }
}
