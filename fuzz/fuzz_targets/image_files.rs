//! Zip archives of images, the images in them included.
#![no_main]

use adadiff_fuzz::file;
use adadiff_metrics::{FileSet, FileSetError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut files) = FileSet::zip(&file("images.zip", bytes)) {
        let all = files.files().len();
        files.tolerate(all);
        let mut found = 0;
        let read = files.for_each_batch::<FileSetError>(3, usize::MAX, |batch| {
            found += batch.images();
            Ok(())
        });
        assert_eq!(found + files.bad().len(), all);
        assert_eq!(read.is_err(), found == 0);
    }
});
