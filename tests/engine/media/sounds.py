"""Small recordings of every kind, made on the spot: a 440 Hz tone at half of full scale."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

TONE_HZ = 440.0
LEVEL = 0.5
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def tone(seconds: float = 4.0, rate_hz: int = 44_100, channels: int = 2) -> NDArray[np.float32]:
    """Samples [n, channels], the same in each channel."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = LEVEL * np.sin(2 * np.pi * TONE_HZ * time)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def by_soundfile(
    path: Path,
    samples: NDArray[np.float32],
    rate_hz: int = 44_100,
    format: str = "WAV",
    subtype: str | None = None,
    title: str = "",
) -> Path:
    with soundfile.SoundFile(path, "w", rate_hz, samples.shape[1], subtype, format=format) as file:
        if title:
            file.title = title
        for start in range(0, len(samples), 8192):
            file.write(samples[start : start + 8192])
    return path


def by_av(
    path: Path,
    samples: NDArray[np.float32],
    rate_hz: int,
    container: str,
    codec: str,
    *,
    picture: bool = False,
    sound: bool = True,
    title: str = "",
    options: dict[str, str] | None = None,
) -> Path:
    """Encode with PyAV; `picture` adds a small video track, without `sound` there is only that."""
    with av.open(str(path), "w", format=container, container_options=options or {}) as output:
        if title:
            output.metadata["title"] = title
        film = None
        if picture:
            film = output.add_stream("libx264" if container != "webm" else "libvpx", rate=5)
            assert isinstance(film, VideoStream)
            film.width, film.height, film.pix_fmt = 64, 64, "yuv420p"
        track = None
        if sound:
            track = output.add_stream(codec, rate=rate_hz, layout=LAYOUTS[samples.shape[1]])
            assert isinstance(track, AudioStream)
            if title:
                track.metadata["title"] = title
        if film is not None:
            for index in range(5 * len(samples) // rate_hz):
                image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * index % 255, np.uint8), format="rgb24")
                image.pts = index
                output.mux(film.encode(image))
            output.mux(film.encode(None))
        if track is not None:
            assert isinstance(track, AudioStream)
            sample_format = track.codec_context.format.name
            for start in range(0, len(samples), 65_536):
                output.mux(track.encode(_frame(samples[start : start + 65_536], sample_format, rate_hz, start)))
            output.mux(track.encode(None))
    return path


def _frame(block: NDArray[np.float32], sample_format: str, rate_hz: int, start: int) -> av.AudioFrame:
    data: NDArray[np.generic] = block
    if sample_format.startswith("s16"):
        data = (block * 32_767).astype(np.int16)
    elif sample_format.startswith("s32"):
        data = (block.astype(np.float64) * 2_147_483_647).astype(np.int32)
    planar = sample_format.endswith("p")
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(data.T if planar else data.reshape(1, -1)),
        format=sample_format,
        layout=LAYOUTS[block.shape[1]],
    )
    frame.sample_rate = rate_hz
    frame.pts = start
    return frame
