//! Enums whose cases are words: labels of metrics, fields of answers.

/// Makes an enum whose cases have a word each. `ALL` has every case, since both come from one list: a case that is added can't be
/// forgotten there.
macro_rules! words {
    (
        $(#[$about:meta])*
        $visibility:vis enum $name:ident { $($(#[$about_case:meta])* $case:ident = $word:literal,)+ }
    ) => {
        $(#[$about])*
        $visibility enum $name { $($(#[$about_case])* $case,)+ }

        impl $name {
            /// Every case.
            $visibility const ALL: [Self; [$($word),+].len()] = [$(Self::$case),+];

            /// The case as one word.
            $visibility const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $word,)+
                }
            }
        }
    };
}

pub(crate) use words;
