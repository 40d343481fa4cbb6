use super::*;
use crate::testing::{TestFile, archive, dictionary, floats, row, state_dict};

const LANDMARK: &str = "in.weight";

/// A checkpoint of copies of a network: `in.weight`, and a tensor that has the copy's number.
fn checkpoint(names: &[&str]) -> WeightFile {
    let numbers = ["0", "1", "2", "3"];
    let copies: Vec<_> = names
        .iter()
        .zip(numbers)
        .map(|(name, number)| {
            let copy = state_dict(&[row(LANDMARK, number, 1), row("b", number, 1)]);
            (*name, copy)
        })
        .collect();
    let parts: Vec<_> = copies
        .iter()
        .map(|(name, copy)| (*name, copy.as_slice()))
        .collect();
    let pickle = dictionary(&parts);
    let storages: Vec<_> = (0..4u8)
        .map(|number| floats(&[f32::from(number)]))
        .collect();
    let keys = numbers.map(|number| format!("data/{number}"));
    let mut entries: Vec<(&str, &[u8])> = vec![("data.pkl", &pickle)];
    entries.extend(
        keys.iter()
            .map(String::as_str)
            .zip(storages.iter().map(Vec::as_slice)),
    );
    TestFile::new(&archive(&entries, 0)).open().unwrap()
}

/// The name and the number of the copy that is read, and the names of the others.
fn read(names: &[&str]) -> (String, f32, Vec<String>) {
    let file = checkpoint(names);
    let network = file.network(LANDMARK).unwrap();
    assert_eq!(Vec::from_iter(network.tensors().keys()), ["b", LANDMARK]);
    let number = network.read("b").unwrap().into_vec::<f32>().unwrap()[0];
    (
        network.part().to_owned(),
        number,
        network.passed_over().to_vec(),
    )
}

#[test]
fn the_average_is_read_where_there_is_one() {
    for (names, number) in [
        (&["model", "ema"][..], 1.0),
        (&["model", "model_ema"], 1.0),
        (&["state_dict", "state_dict_ema"], 1.0),
        (&["nnet_ema", "nnet"], 0.0),
        (&["average", "model_state_dict"], 0.0),
        (&["model.module", "model_EMA.module"], 1.0),
        (&["model", "ema.online_model", "ema.ema_model"], 2.0),
    ] {
        let (part, found, others) = read(names);
        assert_eq!(
            (part.as_str(), found),
            (names[number as usize], number),
            "{names:?}"
        );
        let mut expected = names.to_vec();
        expected.remove(number as usize);
        expected.sort();
        assert_eq!(others, expected, "{names:?}");
    }
}

#[test]
fn the_only_copy_is_read_under_any_name() {
    for name in ["network", "module", "_orig_mod", "model.module", "cinema"] {
        assert_eq!(read(&[name]), (name.to_owned(), 0.0, Vec::new()));
    }
}

#[test]
fn copies_that_nothing_tells_apart_are_named_and_can_be_chosen() {
    for names in [
        &["network", "other"][..],
        &["cinema", "teacher"],
        &["ema.a", "ema.b"],
    ] {
        let file = checkpoint(names);
        let error = file.network(LANDMARK).unwrap_err().to_string();
        let expected = format!(
            "several state dictionaries of one network ({})",
            names.join(", ")
        );
        assert!(error.contains(&expected), "{error}");
        let chosen = file.within(names[1]).unwrap();
        let network = chosen.network(LANDMARK).unwrap();
        assert_eq!(network.read("b").unwrap().into_vec::<f32>().unwrap(), [1.0]);
        assert_eq!(network.part(), names[1]);
    }
    let error = checkpoint(&["model", "ema"]).within("emma").unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("no part emma; its parts are ema, model"),
        "{error}"
    );
}

#[test]
fn a_part_within_a_part_is_told_by_both() {
    let file = checkpoint(&["model.module", "other"]);
    let chosen = file.within("model").unwrap();
    let network = chosen.network(LANDMARK).unwrap();
    assert_eq!(network.part(), "model.module");
    // Where it is found already, it stays.
    assert_eq!(network.network(LANDMARK).unwrap().part(), "model.module");
    assert_eq!(file.network("elsewhere").unwrap().tensors().len(), 4);
}

#[test]
fn averages_whose_names_have_no_dots_are_read_in_place_of_the_weights() {
    // As latent-diffusion saves them: the average is of the module in `model`, and of what is trained.
    let names = [
        ("model.diffusion_model.in.weight", "0"),
        ("model.diffusion_model.b", "1"),
        ("model_ema.diffusion_modelinweight", "2"),
        ("model_ema.num_updates", "3"),
    ];
    let rows: Vec<_> = names.iter().map(|(name, key)| row(name, key, 1)).collect();
    let pickle = dictionary(&[("state_dict", &state_dict(&rows))]);
    let storages: Vec<_> = (0..4u8)
        .map(|number| floats(&[f32::from(number)]))
        .collect();
    let keys = ["0", "1", "2", "3"].map(|number| format!("data/{number}"));
    let mut entries: Vec<(&str, &[u8])> = vec![("data.pkl", &pickle)];
    let stored = storages.iter().map(Vec::as_slice);
    entries.extend(keys.iter().map(String::as_str).zip(stored));
    let file = TestFile::new(&archive(&entries, 0)).open().unwrap();
    let network = file.network(LANDMARK).unwrap();
    let value = |name: &str| network.read(name).unwrap().into_vec::<f32>().unwrap()[0];
    assert_eq!((value(LANDMARK), value("b")), (2.0, 1.0));
    assert_eq!(network.part(), "state_dict.model_ema");
    assert_eq!(network.passed_over(), ["state_dict.model.diffusion_model"]);
}
