//! `StorageReader::iter_cf`: ranges, directions, seeks, and the border between column families.

use std::collections::BTreeMap;

use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::{CFS, Cf, Change, Move, Pair, Standalone};
use crate::world::{Kv, World, show_pairs};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("cursor.rs":
        a_cursor_walks_its_range_both_ways,
        a_cursor_stays_in_its_column_family,
        a_cursor_keeps_its_moment,
        seek_goes_to_the_key_or_beyond_it,
    )
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// What the moves of a cursor must give, from a map.
struct Model<'m> {
    pairs: Vec<(&'m Vec<u8>, &'m Vec<u8>)>,
    reverse: bool,
    /// The place of the pair it stands on, plus one; 0 is before the first.
    at: usize,
}

impl<'m> Model<'m> {
    fn new(map: &'m Map, start: &[u8], end: &[u8], reverse: bool) -> Self {
        let mut pairs: Vec<_> =
            map.iter().filter(|(key, _)| start <= &key[..] && &key[..] < end).collect();
        if reverse {
            pairs.reverse();
        }
        Model { pairs, reverse, at: 0 }
    }

    fn go(&mut self, step: &Move) -> Pair {
        self.at = match step {
            Move::Advance => (self.at + 1).min(self.pairs.len() + 1),
            Move::Seek(key) => {
                let reached = |at: &Vec<u8>| if self.reverse { *at <= *key } else { *at >= *key };
                let before = self.pairs.iter().take_while(|(at, _)| !reached(at)).count();
                before + 1
            }
        };
        self.pairs.get(self.at - 1).map(|(k, v)| ((*k).clone(), (*v).clone()))
    }
}

fn flat(pairs: &[Pair]) -> String {
    show_pairs(pairs.iter().flatten().map(|(k, v)| (&k[..], &v[..])))
}

fn check(
    kv: &mut Kv,
    map: &Map,
    cf: Cf,
    (start, end): (&[u8], &[u8]),
    reverse: bool,
    moves: Vec<Move>,
) -> Outcome {
    let mut model = Model::new(map, start, end, reverse);
    let expected: Vec<Pair> = moves.iter().map(|step| model.go(step)).collect();
    let reader = kv.open_reader(9)?;
    let seen = kv.walk(reader, cf, (start, end), reverse, moves.clone())?;
    if seen == expected {
        return Ok(());
    }
    let way = if reverse { "in reverse" } else { "forwards" };
    let seeks = moves.iter().any(|step| matches!(step, Move::Seek(_)));
    let how = if seeks { format!(" with these moves: {moves:?}") } else { String::new() };
    Err(Failure::broke(
        format!("a cursor over {cf:?} [{}, {}) {way} goes astray{how}", show(start), show(end)),
        format!("the data makes it {}", flat(&expected)),
        format!("it returned {}", flat(&seen)),
    ))
}

fn advances(count: usize) -> Vec<Move> {
    vec![Move::Advance; count]
}

fn fill(kv: &mut Kv, cf: Cf, keys: &[&[u8]]) -> Outcome<Map> {
    let map: Map = keys.iter().map(|key| (key.to_vec(), [b"v", *key].concat())).collect();
    kv.write(map.iter().map(|(k, v)| Change::Put(cf, k.clone(), v.clone())).collect())?;
    Ok(map)
}

/// A cursor gives the pairs of `[start, end)` in order, or in reverse order, and then nothing, however
/// often it is asked again.
///
/// Hint: the engine's cursor does all of it; give it the range and the direction that you were given.
fn a_cursor_walks_its_range_both_ways(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let map = fill(&mut kv, Cf::Default, &[b"", b"a", b"ab", b"b", b"b\x00", b"c", b"\xff\xff"])?;
    let bounds: [(&[u8], &[u8]); 7] = [
        (b"", b"\xff\xff\xff"),
        (b"a", b"c"),
        (b"aa", b"b\x00"),
        (b"b", b"b"),
        (b"c", b"a"),
        (b"d", b"e"),
        (b"", b"\x00"),
    ];
    for range in bounds {
        for reverse in [false, true] {
            check(&mut kv, &map, Cf::Default, range, reverse, advances(map.len() + 2))?;
        }
    }
    Ok(())
}

/// A cursor that comes to the end of its column family stops, even if others hold keys that would be
/// next. With all families in one key space behind a prefix, forgetting to look at the prefix is the
/// classic mistake.
fn a_cursor_stays_in_its_column_family(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let mut maps = Vec::new();
    for (cf, keys) in CFS.into_iter().zip([[&b"a"[..], b"m"], [b"b", b"n"], [b"c", b"\xff"]]) {
        maps.push(fill(&mut kv, cf, &keys)?);
    }
    for (cf, map) in CFS.into_iter().zip(&maps) {
        for reverse in [false, true] {
            check(&mut kv, map, cf, (b"", b"\xff\xff"), reverse, advances(5))?;
        }
    }
    Ok(())
}

/// A cursor shows the moment of its reader, not the moment of each step.
fn a_cursor_keeps_its_moment(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let map = fill(&mut kv, Cf::Write, &[b"a", b"b", b"c"])?;
    let early = kv.open_reader(1)?;
    kv.write(vec![
        Change::Delete(Cf::Write, b"b".to_vec()),
        Change::Put(Cf::Write, b"d".to_vec(), b"late".to_vec()),
    ])?;
    let seen = kv.walk(early, Cf::Write, (b"", b"z"), false, advances(4))?;
    let mut model = Model::new(&map, b"", b"z", false);
    let expected: Vec<Pair> = (0..4).map(|_| model.go(&Move::Advance)).collect();
    if seen == expected {
        return Ok(());
    }
    Err(Failure::broke(
        "a cursor does not show the moment of its reader",
        format!("when the reader was opened there were {}", flat(&expected)),
        format!("its cursor, made after another write, shows {}", flat(&seen)),
    ))
}

/// `seek` goes to the key, or if it is absent to the next one in the direction of travel; it may go back,
/// and a key outside the range means the range's nearest end. Project 4's scanners jump over versions
/// with it.
fn seek_goes_to_the_key_or_beyond_it(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let map = fill(&mut kv, Cf::Default, &[b"b", b"d", b"f", b"h", b"j"])?;
    let targets: [&[u8]; 9] = [b"", b"a", b"b", b"c", b"d", b"e", b"h", b"i", b"z"];
    for reverse in [false, true] {
        for range in [(&b"a"[..], &b"z"[..]), (b"b", b"j"), (b"c", b"i")] {
            for target in targets {
                let moves = vec![Move::Seek(target.to_vec()), Move::Advance];
                check(&mut kv, &map, Cf::Default, range, reverse, moves)?;
            }
            let moves = (0..12)
                .map(|_| match kv.rng().below(3) {
                    0 => Move::Advance,
                    _ => Move::Seek(kv.rng().pick(&targets).to_vec()),
                })
                .collect();
            check(&mut kv, &map, Cf::Default, range, reverse, moves)?;
        }
    }
    Ok(())
}
