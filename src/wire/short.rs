//! What a change means: its settings and options, without the lines that only look different. Pure.

use super::edit::{Edit, Spot};
use crate::doctor::postfix::Postfix;
use crate::doctor::postfix::service::Service;

/// Each difference in one line; services with the same one share it.
pub fn lines(old: &Postfix, new: &Postfix) -> Vec<String> {
    let mut found: Vec<(Vec<String>, String)> = Vec::new();
    for edit in differences(old, new) {
        let words = words(&edit, old);
        let place = place(&edit);
        match found.iter_mut().find(|(_, known)| *known == words) {
            Some((places, _)) => places.push(place),
            None => found.push((vec![place], words)),
        }
    }
    let line = |(places, words): (Vec<String>, String)| format!("{}: {words}", places.join(", "));
    found.into_iter().map(line).collect()
}

/// main.cf first, then the services in their order.
fn differences(old: &Postfix, new: &Postfix) -> Vec<Edit> {
    let mut names: Vec<_> = old.settings.own().chain(new.settings.own()).collect();
    names.sort_unstable();
    names.dedup();
    let of_main = names.into_iter().map(|name| Spot::Main {
        name: name.to_owned(),
    });
    let mut spots: Vec<Spot> = of_main.collect();
    for service in &new.services {
        spots.extend(spots_of(service, old.service(&service.id())));
    }
    let gone = |service: &&Service| new.service(&service.id()).is_none();
    for service in old.services.iter().filter(gone) {
        spots.extend(spots_of(service, None));
    }
    let edits = spots.into_iter().map(|spot| Edit {
        before: spot.value(old),
        after: spot.value(new),
        spot,
    });
    edits.filter(|edit| edit.before != edit.after).collect()
}

/// The places to look at in a service, and in what it is compared with.
fn spots_of(service: &Service, other: Option<&Service>) -> Vec<Spot> {
    let id = service.id();
    let Some(other) = other else {
        return vec![Spot::Service { service: id }];
    };
    let mut names: Vec<_> = service.options.keys().chain(other.options.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let options = names.into_iter().map(|name| Spot::Option {
        service: id.clone(),
        name: name.clone(),
    });
    let chroot = Spot::Chroot {
        service: id.clone(),
    };
    options.chain([chroot]).collect()
}

fn place(edit: &Edit) -> String {
    let Some(service) = edit.spot.service() else {
        return "main.cf".to_owned();
    };
    service.strip_suffix("/inet").unwrap_or(service).to_owned()
}

/// Of what stands in braces, the first word: the rest is in the file.
fn shown(value: &str) -> String {
    let (mut text, mut depth) = (String::new(), 0_usize);
    let mut is_cut = false;
    for c in value.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && c == '}' && is_cut {
            text.push_str(" ... ");
        }
        is_cut = depth > 0 && (is_cut || c == ',');
        if !is_cut {
            text.push(c);
        }
    }
    match text.is_empty() {
        true => "(empty)".to_owned(),
        false => text,
    }
}

fn words(edit: &Edit, old: &Postfix) -> String {
    let name = match &edit.spot {
        Spot::Service { .. } => {
            let made = edit.after.is_some();
            return if made {
                "new in master.cf"
            } else {
                "no longer in master.cf"
            }
            .to_owned();
        }
        Spot::Main { name } | Spot::Option { name, .. } => name,
        Spot::Chroot { .. } => "chroot",
    };
    // What counted where nothing stood.
    let from_main = match &edit.spot {
        Spot::Option { name, .. } if old.settings.is_own(name) => old.settings.get(name),
        Spot::Option { .. } | Spot::Main { .. } | Spot::Chroot { .. } | Spot::Service { .. } => {
            None
        }
    };
    match (&edit.after, &edit.before, from_main) {
        (Some(after), Some(before), _) => {
            format!("{name} = {} (was: {})", shown(after), shown(before))
        }
        (Some(after), None, Some(main)) => {
            format!(
                "{name} = {} (was, by main.cf: {})",
                shown(after),
                shown(main)
            )
        }
        (Some(after), None, None) => format!("{name} = {}", shown(after)),
        (None, before, _) => {
            let before = shown(before.as_deref().unwrap_or_default());
            format!("{name} taken out (was: {before})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn long_values_are_cut() {
        for (value, short) in [
            ("", "(empty)"),
            ("yes", "yes"),
            ("a, b", "a, b"),
            ("{ unix:x }, y", "{ unix:x }, y"),
            (
                "{ unix:x, a=5s, { b = c, d } }, inet:y:1",
                "{ unix:x ... }, inet:y:1",
            ),
            ("c { unix:x,a=5s}, d", "c { unix:x ... }, d"),
            ("${a?{b,c}:{d}}", "${a?{b ... }"),
            ("}, {", "}, {"),
        ] {
            assert_eq!(shown(value), short);
        }
    }
}
