import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from msrcnn_plugin.geometry import cut_windows, paste_windows, upload_windows

masks_of_an_image = hnp.arrays(
    np.bool_,
    st.tuples(st.integers(0, 5), st.integers(1, 40), st.integers(1, 40)),
    elements=st.booleans(),
    fill=st.just(False),
)


def paste(windows):
    """The masks the windows were cut from, if nothing was lost."""
    masks = torch.zeros(len(windows.bucket), *windows.image_size, dtype=torch.bool)
    for i, (bucket, index) in enumerate(
        zip(windows.bucket.tolist(), windows.index_in_bucket.tolist())
    ):
        window = windows.buckets[bucket][index]
        x, y = windows.origin[i].tolist()
        masks[i, y : y + window.shape[0], x : x + window.shape[1]] = window
    return masks


@given(masks_of_an_image)
def test_windows_hold_every_pixel(masks):
    assert torch.equal(paste(cut_windows(masks)), torch.from_numpy(masks))


@given(masks_of_an_image)
def test_pasted_they_are_the_masks(masks):
    assert torch.equal(paste_windows(cut_windows(masks), 'cpu'), torch.from_numpy(masks))


@given(masks_of_an_image)
def test_windows_leave_a_background_pixel_around_unless_the_image_ends(masks):
    windows = cut_windows(masks)
    for i in range(len(masks)):
        bucket = windows.buckets[windows.bucket[i]]
        window, (x, y) = bucket[windows.index_in_bucket[i]], windows.origin[i].tolist()
        height, width = windows.image_size
        borders = [
            (x > 0, window[:, 0]),
            (y > 0, window[0]),
            (x + window.shape[1] < width, window[:, -1]),
            (y + window.shape[0] < height, window[-1]),
        ]
        assert not any(inside and line.any() for inside, line in borders)


def test_small_masks_do_not_cost_what_large_ones_do():
    masks = np.zeros((21, 800, 1344), np.uint8)
    masks[0] = 1
    masks[1:, 100:110, 100:110] = 1
    windows = cut_windows(masks)
    assert sum(bucket.numel() for bucket in windows.buckets) == 800 * 1344 + 20 * 12 * 12


def test_other_types_and_values_are_foreground_where_not_zero():
    masks = np.zeros((1, 8, 8), np.float32)
    masks[0, 2, 3] = 255.0
    windows = cut_windows(masks)
    assert windows.buckets[0].dtype == torch.bool
    assert torch.equal(paste(windows), torch.from_numpy(masks != 0))


def test_no_masks():
    windows = cut_windows(np.zeros((0, 20, 30), np.uint8))
    assert windows.buckets == ()
    assert windows.image_size == (20, 30)
    assert windows.origin.shape == (0, 2)


def test_upload_keeps_every_window_in_place():
    images = [np.random.default_rng(n).random((n, 20, 30)) > 0.5 for n in (3, 0, 2)]
    windows = [cut_windows(image) for image in images]
    uploaded = upload_windows(windows, torch.device('meta'))
    assert [[bucket.shape for bucket in image.buckets] for image in uploaded] == [
        [bucket.shape for bucket in image.buckets] for image in windows
    ]
    assert all(bucket.device.type == 'meta' for image in uploaded for bucket in image.buckets)
    assert upload_windows(windows, torch.device('cpu')) == windows


def test_masks_that_lie_column_by_column():
    masks = np.asfortranarray(np.random.default_rng(0).random((3, 12, 17)) > 0.5)
    windows = cut_windows(masks)
    assert torch.equal(paste(windows), torch.from_numpy(np.ascontiguousarray(masks)))
    assert all(bucket.is_contiguous() for bucket in windows.buckets)
