//! The golden's last section: what a user was told of the own project by steps that ask, and what quotas refused.

use clinker_model::History;
use clinker_model::history::{Entry, Phase};
use clinker_model::plan::Step;
use serde_json::Value;

use crate::golden::Names;
use crate::view::text;

/// One line per answer, in order.
pub(crate) fn lines(history: &History, names: &mut Names<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for record in &history.records {
        let Entry::Op { phase, step, value, failure, .. } = &record.entry else { continue };
        if let Some(failure) = failure.as_ref().filter(|failure| failure.kind == "quota") {
            lines.push(format!("refused   {}", names.quoted(&failure.reason)));
        }
        match history.header.plan.steps.get(*step).map(|planned| &planned.step) {
            Some(Step::Quota(_)) if *phase == Phase::Ok => {
                let of = |name: &str| format!("{} of {}", value[name]["in_use"], value[name]["limit"]);
                lines.push(format!("quota     {} backups, {} GiB", of("backups"), of("backup_gigabytes")));
            }
            Some(Step::Messages(_)) if *phase == Phase::Ok => {
                let messages = value["messages"].as_array().into_iter().flatten();
                let lines_of: Vec<String> = messages.map(|message| line(message, names)).collect();
                lines.push(format!("messages  {}", lines_of.len()));
                lines.extend(lines_of);
            }
            _ => {}
        }
    }
    lines
}

fn line(message: &Value, names: &mut Names<'_>) -> String {
    let backup = names.object("backup", text(&message["resource_uuid"]));
    format!("  {backup}  {}  {}", text(&message["event_id"]), names.quoted(text(&message["user_message"])))
}
