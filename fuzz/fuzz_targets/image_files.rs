//! Zip archives of images, the images in them included.
#![no_main]

use adadiff_fuzz::file;
use adadiff_metrics::{ImageFiles, ImageFilesError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut files) = ImageFiles::zip(&file("images.zip", bytes)) {
        let all = files.names().len();
        files.tolerate(all);
        let mut found = 0;
        let read = files.for_each_batch::<ImageFilesError>(3, |batch| {
            found += batch.images();
            Ok(())
        });
        assert_eq!(found + files.bad().len(), all);
        assert_eq!(read.is_err(), found == 0);
    }
});
