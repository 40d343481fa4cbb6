"""Images: reading, resizing, the network and the formulas."""

import zipfile
from pathlib import Path

import cleanfid.fid
import numpy as np
import torch
import torch_fidelity
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid.inception import InceptionV3

import network
from ours import Ours
from report import Report

TOLERANCE = 1e-3

# Of statistics that one program writes and the other reads.
STATISTICS_TOLERANCE = 1e-6

BATCH = 32


def check(ours: Ours, report: Report, folder: Path, count: int) -> None:
    weights = folder / "weights.pth"
    network.write_weights(weights)
    network.use_weights(weights)
    torch.set_grad_enabled(False)
    # One set is enlarged, the other shrunk.
    a, b = folder / "a", folder / "b"
    draw(a, count, size=(48, 64), seed=1)
    draw(b, count, size=(340, 330), seed=2)

    def of(x: Path, y: Path, mode: str, *more: object) -> dict:
        return ours(x, y, "--weights", weights, "--mode", mode, *more)

    check_pytorch_fid(of, ours, report, a, b, weights)
    check_torch_fidelity(of, report, a, b, weights, count)
    check_clean_fid(of, report, a, b)
    check_forms(of, report, a, b)
    check_jpeg(of, report, a, b, folder)


def draw(folder: Path, count: int, size: tuple[int, int], seed: int) -> None:
    """PNG files of smooth colours with edges and noise."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    height, width = size
    rows, columns = np.mgrid[:height, :width] / max(size)
    for index in range(count):
        channels = []
        for _ in range(3):
            x, y, phase = random.normal(scale=6 + 3 * seed, size=3)
            wave = np.sin(x * columns + y * rows + phase)
            edge = np.where(columns + rows > random.uniform(0, 2), random.normal(), 0)
            noise = random.normal(scale=0.15 * seed, size=size)
            channels.append(128 + 70 * wave + 40 * edge + 40 * noise)
        image = np.stack(channels, 2).clip(0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{index:05}.png")


def check_pytorch_fid(of, ours, report: Report, a: Path, b: Path, weights: Path) -> None:
    folders = [str(a), str(b)]
    published = fid_score.calculate_fid_given_paths(folders, BATCH, "cpu", 2048, num_workers=0)
    found = of(a, b, "pytorch-fid")
    report.compare("images: FID, pytorch-fid", published, found["fid"], TOLERANCE)

    # Statistics in both directions.
    written, theirs = a.parent / "ours.npz", a.parent / "theirs.npz"
    ours(a, "--weights", weights, "--write-statistics", written)
    fid_score.save_fid_stats([str(b), str(theirs)], BATCH, "cpu", 2048, num_workers=0)
    read = fid_score.calculate_fid_given_paths(
        [str(written), str(theirs)], BATCH, "cpu", 2048, num_workers=0
    )
    both = ours(written, theirs)
    report.compare("statistics: FID, pytorch-fid", read, both["fid"], TOLERANCE)
    mu, sigma = fid_score.compute_statistics_of_path(str(written), None, 0, 0, "cpu")
    again = ours(written, written)["fid"]
    assert abs(again) < STATISTICS_TOLERANCE * np.trace(sigma), again
    with np.load(written) as stored:  # as clean-fid reads them
        assert stored["mu"].dtype == stored["sigma"].dtype == np.float64
        assert (stored["mu"] == mu).all() and sigma.shape == (2048, 2048)


def check_torch_fidelity(of, report: Report, a: Path, b: Path, weights: Path, count: int) -> None:
    published = torch_fidelity.calculate_metrics(
        input1=str(a),
        input2=str(b),
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        cuda=False,
        cache=False,
        verbose=False,
        batch_size=BATCH,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights),
        feature_layer_prc="2048",
        samples_shuffle=False,
        # Over several splits the score depends on the order, which each program shuffles in its own way.
        isc_splits=1,
        kid_subsets=1,
        kid_subset_size=count,
    )
    settings = ("--splits", 1, "--kid-subsets", 1, "--kid-subset-size", count)
    found = of(a, b, "tf", "--metrics", "fid,kid,is,pr", *settings)
    for name, key, figure in [
        ("FID", "frechet_inception_distance", found["fid"]),
        ("KID", "kernel_inception_distance_mean", found["kid"]["mean"]),
        ("inception score", "inception_score_mean", found["is"]["mean"]),
        ("precision", "precision", found["pr"]["precision"]),
        ("recall", "recall", found["pr"]["recall"]),
    ]:
        report.compare(f"images: {name}, torch-fidelity", published[key], figure, TOLERANCE)


def check_clean_fid(of, report: Report, a: Path, b: Path) -> None:
    """clean-fid's reading, resizing and distance around pytorch-fid's network, which holds the
    weights of the one that clean-fid downloads."""
    inception = InceptionV3(resize_input=False, normalize_input=False).eval()

    def model(batch: torch.Tensor) -> torch.Tensor:
        return inception((batch - 128) / 128)[0][:, :, 0, 0]

    statistics = []
    for folder in (a, b):
        features = cleanfid.fid.get_folder_features(
            str(folder),
            model,
            num_workers=0,
            batch_size=BATCH,
            device=torch.device("cpu"),
            mode="clean",
            verbose=False,
        )
        statistics += [features.mean(axis=0), np.cov(features, rowvar=False)]
    published = cleanfid.fid.frechet_distance(*statistics)
    report.compare("images: FID, clean-fid", published, of(a, b, "clean")["fid"], TOLERANCE)


def check_forms(of, report: Report, a: Path, b: Path) -> None:
    """The same images in an archive and in an array."""
    archive, array = a.parent / "a.zip", a.parent / "a.npz"
    files = sorted(a.iterdir())
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in files:
            zipped.write(file, file.name)
    np.savez(array, np.stack([np.asarray(Image.open(file)) for file in files]))
    kid = ("--metrics", "kid", "--kid-subsets", 1)
    expected = of(a, b, "clean", *kid)["kid"]["mean"]
    for form in (archive, array):
        figure = of(form, b, "clean", *kid)["kid"]["mean"]
        report.compare(f"images: KID, a folder and {form.name}", expected, figure, 0)


def check_jpeg(of, report: Report, a: Path, b: Path, folder: Path) -> None:
    """A decoder that rounds otherwise than Pillow's shifts the network's features."""
    jpegs = folder / "jpegs"
    jpegs.mkdir()
    for file in a.iterdir():
        Image.open(file).save(jpegs / f"{file.stem}.jpg", quality=90)
    published = fid_score.calculate_fid_given_paths(
        [str(jpegs), str(b)], BATCH, "cpu", 2048, num_workers=0
    )
    found = of(jpegs, b, "pytorch-fid")["fid"]
    report.compare("JPEG images: FID, pytorch-fid", published, found, TOLERANCE)
