//! What holds the types to the CRDs: upstream's and ours.

#[cfg(test)]
mod it {
    mod coverage;
    mod crds;
    mod words;
}
