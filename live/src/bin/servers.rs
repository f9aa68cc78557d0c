//! The drivers against a real Swift with its S3 interface.

fn main() {}
