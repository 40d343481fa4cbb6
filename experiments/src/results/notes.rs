//! What is said of figures wherever they are shown.

/// What the distance in the table is, and what it is not.
pub fn note_on_features(features: &str) -> &'static str {
    match features {
        "fashion-cnn" => {
            "FD (fashion-cnn) is the Fréchet distance over 64 features of a small classifier that \
             this project trained on Fashion-MNIST, against the 10,000 test images. It is not an \
             FID and comparable only with itself at the same number of samples."
        }
        "pixels-4x4" => {
            "FD (pixels-4x4) is the Fréchet distance over the mean colours of 4 x 4 areas. It shows \
             that everything works and does not judge what images show: it is not an FID."
        }
        _ => {
            "FD (inception-2015-12-05) is FID: the Fréchet distance over 2,048 features of FID's \
             Inception network, fed as pytorch-fid does. It falls with the number of samples; \
             compare it with published figures only at theirs."
        }
    }
}
