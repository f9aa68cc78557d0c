use clinker::run::{Parts, play};
use clinker_benches::{DAY, TEN_MINUTES, plan};
use clinker_model::plan::Engine;
fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    let n: u32 = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut plan = if what == "day" {
        plan("day", DAY, "swift", Engine::Simnet, 10)
    } else {
        plan("ten", TEN_MINUTES, "swift", Engine::Simnet, 10)
    };
    if what == "day" {
        plan.end = clinker_model::Span::secs(7200)
    }
    for _ in 0..n {
        std::hint::black_box(play(&plan, &Parts::default()).unwrap().hash);
    }
}
