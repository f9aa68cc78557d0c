//! The types an option may have: how each is read from text, shown, and kept within its limits.

/// A value that never prints.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The value itself, for the one place that puts it on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What an option's value must keep to beyond its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    Any,
    /// A number of at least this much.
    Min(i64),
    /// A number from the one to the other.
    Between(i64, i64),
    /// A number of more than this.
    Above(i64),
    NotEmpty,
    OneOf(&'static [&'static str]),
    /// As `OneOf`, in any letter case; kept in lower case.
    OneOfAnyCase(&'static [&'static str]),
}

/// A type that an option may have. Errors are texts that follow the option's name.
pub(super) trait Value: Sized {
    const KIND: &'static str;
    const SECRET: bool = false;

    fn parse(text: &str, limits: Limits) -> Result<Self, String>;
    /// The value as text; none when it is unset or must not be shown.
    fn show(&self) -> Option<String>;

    fn check(&self, limits: Limits) -> Result<(), String> {
        match self.show() {
            Some(text) => Self::parse(&text, limits).map(drop),
            None => Ok(()),
        }
    }

    fn secret(&self) -> Option<&Secret> {
        None
    }
}

fn wrong(text: &str, expected: &str) -> String {
    format!("found \"{}\", expected {expected}", text.escape_debug())
}

macro_rules! number {
    ($type:ty, $kind:literal, $words:literal) => {
        impl Value for $type {
            const KIND: &'static str = $kind;

            fn parse(text: &str, limits: Limits) -> Result<$type, String> {
                let (least, most, bound) = match limits {
                    Limits::Min(least) => (least as f64, f64::MAX, format!(" of at least {least}")),
                    Limits::Between(least, most) => (least as f64, most as f64, format!(" from {least} to {most}")),
                    _ => (f64::MIN, f64::MAX, String::new()),
                };
                match text.parse::<$type>() {
                    Ok(value) if (least..=most).contains(&(value as f64)) => Ok(value),
                    _ => Err(wrong(text, &format!("{}{bound}", $words))),
                }
            }

            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    };
}

number!(u64, "int", "a whole number");
number!(i64, "int", "a whole number");

impl Value for f64 {
    const KIND: &'static str = "float";

    fn parse(text: &str, limits: Limits) -> Result<f64, String> {
        let (least, above) = match limits {
            Limits::Min(least) => (format!(" of at least {least}"), None),
            Limits::Above(least) => (format!(" above {least}"), Some(least)),
            _ => (String::new(), None),
        };
        match text.parse::<f64>() {
            Ok(value)
                if value.is_finite()
                    && above.is_none_or(|above| value > above as f64)
                    && !matches!(limits, Limits::Min(least) if value < least as f64) =>
            {
                Ok(value)
            }
            _ => Err(wrong(text, &format!("a number{least}"))),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for bool {
    const KIND: &'static str = "bool";

    fn parse(text: &str, _: Limits) -> Result<bool, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" | "on" => Ok(true),
            "false" | "no" | "0" | "off" => Ok(false),
            _ => Err(wrong(text, "true or false")),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for String {
    const KIND: &'static str = "str";

    fn parse(text: &str, limits: Limits) -> Result<String, String> {
        match limits {
            Limits::NotEmpty if text.is_empty() => Err(wrong(text, "a text that is not empty")),
            Limits::OneOf(choices) if !choices.contains(&text) => {
                Err(wrong(text, &format!("one of {}", choices.join(", "))))
            }
            Limits::OneOfAnyCase(choices) => {
                let lower = text.to_ascii_lowercase();
                String::parse(&lower, Limits::OneOf(choices)).map_err(|_| {
                    let choices = choices.join(", ");
                    wrong(text, &format!("one of {choices}"))
                })
            }
            _ => Ok(text.to_owned()),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.clone())
    }
}

/// A list, with commas between its values.
impl Value for Vec<String> {
    const KIND: &'static str = "list";

    fn parse(text: &str, limits: Limits) -> Result<Vec<String>, String> {
        let values: Vec<String> =
            text.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect();
        match limits {
            Limits::NotEmpty if values.is_empty() => Err(wrong(text, "a list that is not empty")),
            _ => Ok(values),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.join(","))
    }
}

impl Value for Secret {
    const KIND: &'static str = "secret";
    const SECRET: bool = true;

    fn parse(text: &str, _: Limits) -> Result<Secret, String> {
        Ok(Secret::new(text))
    }

    fn show(&self) -> Option<String> {
        None
    }

    fn secret(&self) -> Option<&Secret> {
        Some(self)
    }
}

/// An option that may be unset; empty text leaves it so.
impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;
    const SECRET: bool = T::SECRET;

    fn parse(text: &str, limits: Limits) -> Result<Option<T>, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text, limits).map(Some) }
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }

    fn secret(&self) -> Option<&Secret> {
        self.as_ref().and_then(T::secret)
    }
}
