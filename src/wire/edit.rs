//! One change of a configuration, as data: where, from what, to what.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::doctor::postfix::Postfix;

/// A place in main.cf or master.cf. Services are called as `postconf` does: `submission/inet`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "lowercase")]
pub enum Spot {
    /// A parameter of main.cf.
    Main {
        /// The parameter.
        name: String,
    },
    /// An option of a service.
    Option {
        /// The service.
        service: String,
        /// The parameter.
        name: String,
    },
    /// The fifth column of a service.
    Chroot {
        /// The service.
        service: String,
    },
    /// A service as a whole.
    Service {
        /// The service.
        service: String,
    },
}

/// A change of one place. `None`: nothing stands there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Edit {
    /// The place.
    #[serde(flatten)]
    pub spot: Spot,
    /// What stood there.
    pub before: Option<String>,
    /// What is to stand there.
    pub after: Option<String>,
}

impl Spot {
    /// What stands there.
    pub fn value(&self, postfix: &Postfix) -> Option<String> {
        match self {
            Spot::Main { name } => {
                let own = postfix.settings.is_own(name);
                let value = postfix.settings.get(name).filter(|_| own)?;
                Some(value.to_owned())
            }
            Spot::Option { service, name } => postfix.service(service)?.options.get(name).cloned(),
            Spot::Chroot { service } => {
                let service = postfix.service(service)?;
                Some(service.chroot_column().to_owned())
            }
            Spot::Service { service } => Some(postfix.service(service)?.line.clone()),
        }
    }

    /// The service that it is about.
    pub fn service(&self) -> Option<&str> {
        match self {
            Spot::Main { .. } => None,
            Spot::Option { service, .. } | Spot::Chroot { service } | Spot::Service { service } => {
                Some(service)
            }
        }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spot::Main { name } => write!(f, "{name} in main.cf"),
            Spot::Option { service, name } => write!(f, "{name} of {service} in master.cf"),
            Spot::Chroot { service } => write!(f, "the chroot column of {service} in master.cf"),
            Spot::Service { service } => write!(f, "the service {service} in master.cf"),
        }
    }
}

impl Edit {
    /// From what stands there to a new value.
    pub fn new(postfix: &Postfix, spot: Spot, after: Option<String>) -> Edit {
        Edit {
            before: spot.value(postfix),
            spot,
            after,
        }
    }

    /// Of a parameter of main.cf.
    pub fn main(postfix: &Postfix, name: &str, value: &str) -> Edit {
        let name = name.to_owned();
        Edit::new(postfix, Spot::Main { name }, Some(value.to_owned()))
    }

    /// Of an option of a service.
    pub fn option(postfix: &Postfix, service: &str, name: &str, value: &str) -> Edit {
        let (service, name) = (service.to_owned(), name.to_owned());
        Edit::new(
            postfix,
            Spot::Option { service, name },
            Some(value.to_owned()),
        )
    }

    /// The way back.
    pub fn reversed(&self) -> Edit {
        Edit {
            spot: self.spot.clone(),
            before: self.after.clone(),
            after: self.before.clone(),
        }
    }
}
