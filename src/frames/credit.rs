//! How many bytes of a stream may be on their way, so that a reader that stops blocks its own stream alone. May touch: nothing.

use super::wire::Damage;

/// So many bytes of a stream may be on their way that no CREDIT has answered.
pub const WINDOW: u32 = 262_144;

/// The sender's side.
#[derive(Clone, Copy)]
pub struct Credit {
    left: u32,
}

impl Credit {
    pub const WHOLE: Credit = Credit { left: WINDOW };

    /// So many bytes may be sent now.
    pub fn left(self) -> usize {
        self.left as usize
    }

    /// So many bytes were sent: no more than were left.
    pub fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// The receiver has taken so many bytes.
    pub fn answered(&mut self, bytes: u32) -> Result<(), Damage> {
        match self.left.checked_add(bytes) {
            Some(left @ ..=WINDOW) => self.left = left,
            _ => return Err(Damage::Credit),
        }
        Ok(())
    }
}

/// The receiver's side.
#[derive(Clone, Copy, Default)]
pub struct Window {
    /// Arrived, and not answered.
    arrived: u32,
    /// Taken of those.
    taken: u32,
}

impl Window {
    pub fn arrived(&mut self, bytes: usize) -> Result<(), Damage> {
        let arrived = u32::try_from(bytes).ok().and_then(|bytes| self.arrived.checked_add(bytes));
        self.arrived = arrived.filter(|arrived| *arrived <= WINDOW).ok_or(Damage::Credit)?;
        Ok(())
    }

    /// So many bytes were taken. Returns the bytes of a CREDIT when it is time for one: not for each few bytes.
    pub fn took(&mut self, bytes: usize) -> Option<u32> {
        self.taken = self.taken.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX)).min(self.arrived);
        // If all that arrived was taken, the sender may wait for the answer.
        let due = self.taken >= WINDOW / 4 || (self.taken > 0 && self.taken == self.arrived);
        due.then(|| {
            self.arrived -= self.taken;
            core::mem::take(&mut self.taken)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_window_is_on_its_way() {
        let (mut credit, mut window) = (Credit::WHOLE, Window::default());
        let (mut sent, mut kept) = (0usize, 0usize);
        for round in 0..10_000usize {
            let part = credit.left().min(1 + round * 37 % 70_000);
            credit.spend(part);
            assert_eq!(window.arrived(part), Ok(()));
            (sent, kept) = (sent + part, kept + part);
            let takes = kept.min(round * 53 % 60_000);
            kept -= takes;
            if let Some(bytes) = window.took(takes) {
                assert_eq!(credit.answered(bytes), Ok(()));
            }
            assert!(kept <= WINDOW as usize);
        }
        if let Some(bytes) = window.took(kept) {
            assert_eq!(credit.answered(bytes), Ok(()));
        }
        assert_eq!(credit.left(), WINDOW as usize);
        assert!(sent > 10_000_000);
    }

    #[test]
    fn a_side_that_breaks_the_rule_is_found_out() {
        let mut window = Window::default();
        assert_eq!(window.arrived(WINDOW as usize), Ok(()));
        assert_eq!(window.arrived(1), Err(Damage::Credit));
        assert_eq!(window.arrived(usize::MAX), Err(Damage::Credit));
        let mut credit = Credit::WHOLE;
        assert_eq!(credit.answered(1), Err(Damage::Credit));
        credit.spend(10);
        assert_eq!(credit.answered(u32::MAX), Err(Damage::Credit));
        assert_eq!(credit.answered(10), Ok(()));
        assert_eq!(credit.left(), WINDOW as usize);
        // Nothing was taken, so nothing is answered.
        assert_eq!(Window::default().took(0), None);
        assert_eq!(Window::default().took(9), None);
    }
}
