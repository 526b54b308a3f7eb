//! The two sides of a comparison, and one value for each.

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Released,
    Rebuilt,
}

impl Which {
    pub fn other(self) -> Self {
        match self {
            Self::Released => Self::Rebuilt,
            Self::Rebuilt => Self::Released,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Rebuilt => "rebuilt",
        }
    }
}

/// One value for each side.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Both<T> {
    pub released: T,
    pub rebuilt: T,
}

impl<T> Both<T> {
    pub fn new(released: T, rebuilt: T) -> Self {
        Self { released, rebuilt }
    }

    pub fn of(&self, which: Which) -> &T {
        match which {
            Which::Released => &self.released,
            Which::Rebuilt => &self.rebuilt,
        }
    }

    pub fn of_mut(&mut self, which: Which) -> &mut T {
        match which {
            Which::Released => &mut self.released,
            Which::Rebuilt => &mut self.rebuilt,
        }
    }

    pub fn as_ref(&self) -> Both<&T> {
        Both::new(&self.released, &self.rebuilt)
    }

    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Both<U> {
        Both::new(change(self.released), change(self.rebuilt))
    }

    /// Applies a function to both values; returns the first error.
    pub fn try_map<U, E>(self, mut change: impl FnMut(T) -> Result<U, E>) -> Result<Both<U>, E> {
        Ok(Both::new(change(self.released)?, change(self.rebuilt)?))
    }

    /// Both values, each with its side.
    pub fn each(self) -> [(Which, T); 2] {
        [(Which::Released, self.released), (Which::Rebuilt, self.rebuilt)]
    }

    pub fn any(self, is: impl FnMut(T) -> bool) -> bool {
        [self.released, self.rebuilt].into_iter().any(is)
    }

    pub fn all(self, is: impl FnMut(T) -> bool) -> bool {
        [self.released, self.rebuilt].into_iter().all(is)
    }
}

impl<T: PartialEq> Both<T> {
    /// Whether both sides have the same value.
    pub fn same(&self) -> bool {
        self.released == self.rebuilt
    }
}
