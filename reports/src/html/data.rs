//! Timelines as the page embeds them: texts once, everything else as numbers.
//!
//! `{"text":[…],"timelines":[[end,[[host,omitted,[[kind,label,from,until,tone]…],[[kind,label,at,tone]…]]…]]…]}`, times in
//! microseconds, an `until` of -1 for the end of the run, kinds and tones by their position in the model.

use clinker_model::timeline::{Lane, Timeline};
use indexmap::IndexSet;
use serde_json::{Value, json};

#[derive(Default)]
pub(super) struct Data {
    text: IndexSet<String>,
    timelines: Vec<Value>,
}

impl Data {
    /// Takes a timeline and says by which number the page finds it.
    pub fn add(&mut self, timeline: &Timeline) -> usize {
        let lanes: Vec<Value> = timeline.lanes.iter().map(|lane| self.lane(lane)).collect();
        self.timelines.push(json!([timeline.end_ns / 1_000, lanes]));
        self.timelines.len() - 1
    }

    fn lane(&mut self, lane: &Lane) -> Value {
        let host = self.number(&lane.host);
        let mut spans = Vec::new();
        for span in &lane.spans {
            let until = span.until_ns.map_or(json!(-1), |until| json!(until / 1_000));
            spans.push(json!([
                span.kind as u8,
                self.number(&span.label),
                span.from_ns / 1_000,
                until,
                span.tone as u8
            ]));
        }
        let mut marks = Vec::new();
        for mark in &lane.marks {
            marks.push(json!([mark.kind as u8, self.number(&mark.label), mark.t_ns / 1_000, mark.tone as u8]));
        }
        json!([host, lane.omitted, spans, marks])
    }

    fn number(&mut self, text: &str) -> usize {
        match self.text.get_index_of(text) {
            Some(number) => number,
            None => self.text.insert_full(text.to_owned()).0,
        }
    }

    /// JSON that no script element can be ended by.
    pub fn json(&self) -> String {
        json!({ "text": self.text, "timelines": self.timelines }).to_string().replace('<', "\\u003c")
    }
}
