//! Whether simnet's TCP is Linux'.
mod cases;
mod formula;
mod lab;
mod linux;
mod simulated;

fn main() {
    if let Some(role) = linux::role() {
        linux::play(&role).unwrap();
        return;
    }
    if let Some(why) = linux::hindrance() {
        println!("skipped: {why}");
        return;
    }
    let all = cases::all();
    let filter = std::env::args().nth(1).unwrap_or_default();
    let all: Vec<_> = all.into_iter().filter(|c| c.name.contains(&filter)).collect();
    let started: Vec<_> = all.iter().map(|c| linux::start(c).unwrap()).collect();
    for case in &all {
        match simulated::play(case) {
            Ok(seen) => println!(
                "sim {:20} {:9.4} {:?} {}",
                case.name,
                seen.after.as_secs_f64(),
                case.time.range(formula::DEFAULT),
                seen.what
            ),
            Err(e) => println!("sim {:20} FAILED {e}", case.name),
        }
    }
    for (case, child) in all.iter().zip(started) {
        match linux::finish(child) {
            Ok(seen) => println!(
                "{:20} {:9.4} {:?} {}",
                case.name,
                seen.after.as_secs_f64(),
                case.time.range(formula::Kernel::with(case.settings)),
                seen.what
            ),
            Err(e) => println!("{:20} FAILED {e}", case.name),
        }
    }
}
