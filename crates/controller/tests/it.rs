//! Integration tests of the controller, in one binary.

#[cfg(test)]
mod it {
    mod cluster_api;
    mod cluster_source;
    mod cluster_write;
    mod fleet;
    mod leader;
    mod run;
    mod scripted;
    mod simulation;
    mod source_admission;
    mod source_defaults;
    mod source_directory;
    mod source_files;
    mod source_hostile;
    mod source_speed;
    mod source_watch;
}
