//! Graphs that are kept in files: never believed beyond what they can prove.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::support::{Many, ORDER, library, next, reach, text};

/// The files of graphs in a folder, sorted.
fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(
        files
            .iter()
            .all(|file| file.extension().is_some_and(|e| e == "graph")),
        "{files:?}"
    );
    files
}

#[test]
fn what_is_kept_changes_no_answer() {
    let many = Many::new();
    let new = library(&many.dir.join("new"), &["FACTOR=5"], &ORDER);
    let folder = many.dir.join("graphs/of/this/machine");
    let more = ["--graphs", text(&folder)];
    let ask = |more: &[&str]| {
        let ran = reach(&many.library, &new, &many.programs, more);
        assert_eq!(ran.stderr(), "", "{ran}");
        ran.stdout()
    };
    let plain = ask(&[]);
    assert!(plain.contains("affected 2, "), "{plain}");
    assert_eq!(ask(&more), plain);
    let kept = files(&folder);
    assert!(kept.len() >= 2, "{kept:?}");
    let read = || {
        kept.iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect::<Vec<_>>()
    };
    let good = read();
    assert_eq!(ask(&more), plain);
    assert_eq!(read(), good);

    // Damaged, cut short, of another library, empty: made anew.
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..6 {
        for (index, file) in kept.iter().enumerate() {
            let mut bytes = good[index].clone();
            match round {
                0 => bytes.clear(),
                1 => bytes.truncate(next(&mut state) % bytes.len()),
                2 => bytes = good[(index + 1) % good.len()].clone(),
                _ => {
                    let at = next(&mut state) % bytes.len();
                    bytes[at] ^= 1 << (next(&mut state) % 8);
                }
            }
            std::fs::write(file, bytes).unwrap();
        }
        assert_eq!(ask(&more), plain, "{round}");
        assert_eq!(read(), good, "{round}");
    }
    // One that others may write does not count, and is replaced.
    for file in &kept {
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o666)).unwrap();
    }
    assert_eq!(ask(&more), plain);
    for file in &kept {
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
    // Another library has another graph, and all of them may go.
    let other = library(&many.dir.join("other"), &["CASE=3"], &ORDER);
    reach(&many.library, &other, &many.programs, &more).out_has("affected 1, ");
    assert_eq!(files(&folder).len(), kept.len() + 1);
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(ask(&more), plain);
    assert_eq!(read(), good);

    let file = many.dir.file("no-folder", "");
    let ran = reach(
        &many.library,
        &new,
        &many.programs,
        &["--graphs", text(&file)],
    );
    ran.exits(1).err_has("`--graphs ").err_is_one_line();
}

#[test]
fn damaged_graphs_make_no_panic() {
    let many = Many::new();
    let folder = many.dir.join("graphs");
    let new = library(&many.dir.join("new"), &["FACTOR=5"], &ORDER);
    let _ = reach(
        &many.library,
        &new,
        &many.programs,
        &["--graphs", text(&folder)],
    );
    let mut state = 0x2545_f491_4f6c_dd1d;
    let mut read = 0;
    for file in files(&folder) {
        let good = std::fs::read(file).unwrap();
        assert!(indir::reach::exercise_stored(&good).unwrap() > 50);
        for round in 0..2000 {
            let mut bytes = good.clone();
            for _ in 0..1 + round % 5 {
                let at = next(&mut state) % bytes.len();
                bytes[at] = next(&mut state) as u8;
            }
            if round % 10 == 0 {
                bytes.truncate(next(&mut state) % good.len());
            }
            read += usize::from(indir::reach::exercise_stored(&bytes).is_some());
        }
    }
    // Their sums are not looked at here, so that some are read as far as they go.
    assert!(read > 0, "{read}");
}
