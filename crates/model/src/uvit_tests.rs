use std::thread;

use burn_flex::Flex;

use crate::testing::{uniform, values};
use crate::{Condition, Denoiser, UVit, UVitConfig};

#[test]
fn predictions_of_many_threads_at_once_are_those_of_one() {
    println!("device: flex");
    let network = || -> UVit<Flex> { UVitConfig::tiny().init(3, &Default::default()).unwrap() };
    // Enough samples for the products to be shared among threads.
    let noisy = uniform::<Flex, 4>([128, 2, 8, 8]);
    let predict = |network: &UVit<Flex>| {
        let prediction = network.predict(noisy.clone(), 500.0, &Condition::None);
        values(prediction.unwrap().noise)
    };
    let expected = predict(&network());
    // Some of its parameters are made when they are first used: by whichever thread that is.
    let shared = network();
    thread::scope(|scope| {
        let threads = [(); 8].map(|()| scope.spawn(|| [(); 4].map(|()| predict(&shared))));
        for thread in threads {
            for found in thread.join().unwrap() {
                assert_eq!(found, expected);
            }
        }
    });
}
