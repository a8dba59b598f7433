use super::*;
use crate::rate::Rate;

const KBIT: u64 = 1_000;

/// A camera of Chromium: 180, 360 and 720 lines in three temporal layers.
fn camera() -> Vec<Offered> {
    let rates = [(180, [60, 90, 150]), (360, [180, 270, 450]), (720, [700, 1_000, 1_700])];
    let mut layers = Vec::new();
    for (encoding, (height, rates)) in rates.into_iter().enumerate() {
        // Seven and a half high pictures a second are no step.
        for (temporal, rate) in rates.into_iter().enumerate().skip(usize::from(encoding > 0)) {
            layers.push(Offered {
                layer: LayerId { encoding: encoding as u8, spatial: 0, temporal: temporal as u8 },
                height,
                rate: Rate { bits_per_second: rate * KBIT, millifps: 7_500 << temporal },
                usable: true,
                settling: false,
            });
        }
    }
    layers
}

fn demand(offered: &[Offered], max_height: u32, on_stage: bool) -> Demand {
    Demand {
        slot: 0,
        priority: i32::from(on_stage),
        on_stage,
        ladder: Ladder::of(offered.iter().copied()).fit(max_height, None),
        present: None,
        ceiling: None,
        chosen: None,
        limit: Limit::Best,
        missing: 0,
    }
}

fn results(demands: &[Demand]) -> Vec<Option<(u16, u8)>> {
    demands.iter().map(|demand| demand.chosen.map(|place| demand.ladder.steps()[place].rank())).collect()
}

fn total(demands: &[Demand]) -> u64 {
    demands.iter().map(Demand::cost).sum()
}

#[test]
fn without_a_limit_everyone_gets_what_the_layout_shows() {
    let mut demands = [demand(&camera(), 720, true), demand(&camera(), 180, false), demand(&camera(), 0, false)];
    allocate(None, &mut demands);
    assert_eq!(results(&demands), [Some((720, 2)), Some((180, 2)), Some((720, 2))]);
    assert_eq!(demands.each_ref().map(|demand| demand.limit), [Limit::Best, Limit::Viewport, Limit::Best]);
}

#[test]
fn a_slightly_smaller_layer_suffices_and_a_taller_one_does_not_come() {
    for (max_height, expected) in [(100, 180), (211, 180), (212, 360), (423, 360), (424, 720), (4_000, 720)] {
        let mut demands = [demand(&camera(), max_height, false)];
        allocate(None, &mut demands);
        assert_eq!(results(&demands)[0].map(|(height, _)| height), Some(expected), "{max_height}");
    }
}

#[test]
fn the_smallest_that_suffices_is_waited_for_on_a_smaller_one() {
    let mut layers = camera();
    for layer in layers.iter_mut().filter(|layer| layer.height == 360) {
        layer.usable = false;
    }
    let mut demands = [demand(&layers, 360, false)];
    allocate(None, &mut demands);
    assert_eq!((results(&demands)[0], demands[0].limit), (Some((180, 2)), Limit::Sender));
    let only_large: Vec<_> =
        layers.iter().copied().map(|layer| Offered { usable: layer.height == 720, ..layer }).collect();
    let mut demands = [demand(&only_large, 180, false)];
    allocate(None, &mut demands);
    assert_eq!(results(&demands)[0].map(|(height, _)| height), Some(720), "better too large than nothing");
}

#[test]
fn the_stage_comes_first_and_then_everyone_one_step_at_a_time() {
    let slots = || [demand(&camera(), 180, false), demand(&camera(), 720, true), demand(&camera(), 180, false)];
    let mut demands = slots();
    allocate(Some(310 * KBIT), &mut demands);
    assert_eq!(results(&demands), [Some((360, 1)), None, None], "the stage is sorted to the front");
    let mut demands = slots();
    allocate(Some(420 * KBIT), &mut demands);
    assert_eq!(results(&demands), [Some((360, 1)), Some((180, 0)), Some((180, 0))]);
    let mut demands = slots();
    allocate(Some(2_300 * KBIT), &mut demands);
    assert_eq!(results(&demands), [Some((720, 2)), Some((180, 2)), Some((180, 2))]);
}

#[test]
fn less_bandwidth_never_gives_anyone_more_and_never_more_than_there_is() {
    let mut previous = 0;
    for budget in (0..6_000).step_by(37) {
        let mut demands = [demand(&camera(), 0, true), demand(&camera(), 360, false), demand(&camera(), 180, false)];
        allocate(Some(budget * KBIT), &mut demands);
        assert!(total(&demands) <= budget * KBIT, "{budget}");
        assert!(total(&demands) >= previous, "{budget}: {} after {previous}", total(&demands));
        previous = total(&demands);
    }
    assert_eq!(previous, (1_700 + 450 + 150) * KBIT);
}

#[test]
fn what_is_missing_is_told() {
    let mut demands = [demand(&camera(), 720, false)];
    allocate(Some(900 * KBIT), &mut demands);
    assert_eq!((results(&demands)[0], demands[0].limit), (Some((360, 2)), Limit::Bandwidth));
    // 1,000 with a margin of 10 % less the 450 it has, of which 450 are left.
    assert_eq!(demands[0].missing, (1_100 - 450 - 450) * KBIT);
}

#[test]
fn the_present_layer_is_kept_where_a_new_one_would_not_be_taken() {
    let mut demands = [demand(&camera(), 720, false)];
    allocate(Some(1_720 * KBIT), &mut demands);
    assert_eq!(results(&demands)[0], Some((720, 1)));
    demands[0].present = Some((720, 2));
    allocate(Some(1_720 * KBIT), &mut demands);
    assert_eq!(results(&demands)[0], Some((720, 2)));
}

#[test]
fn a_ceiling_holds_and_says_so() {
    let mut demands = [demand(&camera(), 720, false)];
    demands[0].ceiling = Some((360, 2));
    allocate(None, &mut demands);
    assert_eq!((results(&demands)[0], demands[0].limit), (Some((360, 2)), Limit::Steadiness));
    let mut layers = camera();
    for layer in layers.iter_mut().filter(|layer| layer.height == 720) {
        (layer.usable, layer.settling) = (false, true);
    }
    let mut demands = [demand(&layers, 720, false)];
    allocate(None, &mut demands);
    assert_eq!((results(&demands)[0], demands[0].limit), (Some((360, 2)), Limit::Steadiness));
}

#[test]
fn a_step_that_costs_more_than_a_better_one_is_left_out() {
    let mut layers = camera();
    for layer in layers.iter_mut().filter(|layer| layer.height == 720) {
        layer.rate.bits_per_second /= 10;
    }
    let ladder = Ladder::of(layers.into_iter()).fit(0, None);
    let ranks: Vec<_> = ladder.steps().iter().map(Step::rank).collect();
    assert_eq!(ranks, [(180, 0), (180, 1), (720, 1), (720, 2)]);
}
