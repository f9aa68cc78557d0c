//! What the targets assert: the properties that the tests of the drivers and of the manager assert, too.

#[path = "../../drivers/tests/hostile_input/properties.rs"]
pub mod parsers;
#[path = "../../manager/tests/hostile_record/properties.rs"]
pub mod records;
