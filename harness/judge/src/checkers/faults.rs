//! Faults: every declared fault hit something.

use clinker_model::history::History;
use clinker_model::verdict::Finding;

use crate::Checker;
use crate::fault_results;
use crate::tally::{Tally, at};

pub const CHECKER: Checker = Checker {
    name: "faults",
    about: "every declared fault bit at least once",
    source: "section 7: a declared fault that never bit fails its scenario",
    check,
};

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    for (index, fault) in fault_results(history).iter().enumerate() {
        let until = fault.until_ns.map_or("the end".to_owned(), at);
        tally.require(
            fault.bites > 0,
            fault.at_ns,
            "a declared fault hits something: one that never bites tests nothing [section 7]",
            || format!("fault {index}, {}: at least one bite between {} and {until}", fault.name, at(fault.at_ns)),
            || "none".to_owned(),
        );
    }
    tally.finish()
}

#[cfg(test)]
mod tests {
    use clinker_model::fault::{Fault, HostTarget};

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    #[test]
    fn every_declared_fault_bites() {
        let refuse = || Fault::Refuse(HostTarget { host: "store".to_owned() });
        let declared = || script().fault(0, Some(130), refuse());
        judge("bit", declared().bite(0), "ok");
        judge("never bit", declared(), "fault 0, refuse: at least one bite between 0.000 s and 130.000 s");
        judge("the second never bit", declared().fault(5, None, refuse()).bite(0), "fault 1, refuse");
        judge("none declared", script(), "none");
    }
}
