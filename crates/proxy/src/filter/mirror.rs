//! Which requests are copied to a mirror.

use fairway_model::filter::Mirror;

/// Draws whether this request is copied.
pub(crate) fn draws(mirror: &Mirror) -> bool {
    if mirror.numerator >= mirror.denominator {
        return true;
    }
    rand::random_range(0..mirror.denominator) < mirror.numerator
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_model::route::BackendTarget;

    #[test]
    fn the_share_is_kept() {
        let target = BackendTarget::Cluster(fairway_model::ClusterId::new("service/shop/copy/80"));
        let drawn = |numerator, denominator| {
            let mirror = Mirror { target: target.clone(), numerator, denominator };
            (0..10_000).filter(|_| draws(&mirror)).count()
        };
        assert_eq!((drawn(0, 100), drawn(100, 100)), (0, 10_000));
        assert!((1_800..2_200).contains(&drawn(20, 100)));
    }
}
