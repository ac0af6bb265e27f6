"""The only place where the bytes of a stranger's file are parsed: demuxes and decodes with PyAV (FFmpeg's libraries).

Runs as `python -m engine.media.decode_child`, confined. Reads the file from standard input, an open descriptor, and
writes raw mono float32 to another; it can open nothing itself. Knows facts and codes, no sentences.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

import av
import av.audio.codeccontext
import av.error
import av.filter
import av.logging
import av.subtitles.codeccontext  # PyAV imports these when it meets such a stream, and then no file can be opened
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard

from engine.media.limits import Tell, close_doors, serve

_DEMUXERS = {
    "mp3": "mp3",
    "aac": "aac",
    "wav": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "mp4": "mov",
    "webm": "matroska",
    "aiff": "aiff",
}
"""One demuxer for each kind that `sniff` tells; none that can name other files is among them (concat, hls, dash …)."""

_PCM = ("u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be", "f64le", "f64be")
_DECODERS = frozenset(
    {"mp3float", "mp3", "aac", "alac", "flac", "vorbis", "opus", "pcm_alaw", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav"}
    | {f"pcm_{name}" for name in _PCM}
)

_OPTIONS = {
    "format_whitelist": ",".join(_DEMUXERS.values()),
    "codec_whitelist": ",".join(sorted(_DECODERS)),  # pictures are not even opened to learn their size
    "protocol_whitelist": "file",
    "max_streams": "64",
}

_MIN_RATE_HZ, _MAX_RATE_HZ = 8_000, 192_000
_MAX_CHANNELS = 8
_BYTES_PER_SAMPLE = 4
_TELL_EVERY_S = 5.0

_ESTIMATED = frozenset({"mp3", "aac"})
"""Kinds without a trustworthy length: FFmpeg guesses it from one bit rate, or a tag that may be wrong."""


class Refused(Exception):
    """The file cannot be used: a code, and facts for the sentence."""

    def __init__(self, code: str, **facts: float | str) -> None:
        super().__init__(code)
        self.code, self.facts = code, facts


class Mixer:
    """Turns frames of any layout and rate into mono float32 at `rate_hz`, by libswresample.

    `mean`: the standard downmix, scaled so that full scale stays full scale; else the first channel alone.
    """

    def __init__(self, rate_hz: int, mean: bool) -> None:
        self._rate_hz, self._mean = rate_hz, mean
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[str, str, int] | None = None

    def push(self, frame: AudioFrame) -> Iterator[memoryview]:
        """Take a frame, give the samples that are ready. The shape of frames may change on the way."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            yield from self.flush()
            self._graph, self._shape = self._build(*shape), shape
        assert self._graph is not None
        frame.pts = None  # gaps and jumps of the clock are not silence
        self._graph.push(frame)
        yield from self._pull()

    def flush(self) -> Iterator[memoryview]:
        """Give the rest."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull()
            self._graph = None

    def _pull(self) -> Iterator[memoryview]:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, AudioFrame)
            yield memoryview(frame.planes[0])[: frame.samples * _BYTES_PER_SAMPLE]

    def _build(self, sample_format: str, layout: str, rate_hz: int) -> av.filter.Graph:
        graph = av.filter.Graph()
        graph.threads = 1
        nodes = [graph.add("abuffer", sample_rate=str(rate_hz), sample_fmt=sample_format, channel_layout=layout)]
        if not self._mean:
            nodes.append(graph.add("pan", "mono|c0=c0"))
        nodes += [
            graph.add("aresample", rematrix_maxval="1.0"),
            graph.add("aformat", sample_rates=str(self._rate_hz), sample_fmts="flt", channel_layouts="mono"),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*nodes)
        graph.configure()
        return graph


def _refuse_nested(*_: object) -> NoReturn:
    raise PermissionError("a file may not open another")


def _open(file: BinaryIO, kind: str) -> InputContainer:
    file.seek(0)
    return av.open(
        file,
        "r",
        format=_DEMUXERS[kind],
        container_options=_OPTIONS,
        metadata_errors="replace",
        io_open=_refuse_nested,
    )


def _sound_track(container: InputContainer) -> AudioStream:
    """Return the first audio stream, alone and within the limits."""
    if not container.streams.audio:
        raise Refused("no_sound" if len(container.streams) else "damaged")
    stream: AudioStream = container.streams.audio[0]
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    codec = stream.codec_context
    if codec is None or codec.name not in _DECODERS:
        raise Refused("unknown_codec", codec=codec.name if codec is not None else "unknown")
    codec.thread_count = 1
    _check_shape(codec.sample_rate, codec.layout.nb_channels)
    return stream


def _check_shape(rate_hz: int, channels: int) -> None:
    if not _MIN_RATE_HZ <= rate_hz <= _MAX_RATE_HZ:
        raise Refused("sample_rate", rate_hz=rate_hz)
    if not 1 <= channels <= _MAX_CHANNELS:
        raise Refused("channels", channels=channels)


def _length_s(container: InputContainer, stream: AudioStream, kind: str, size: int) -> float | None:
    """Return the length that the file claims, in seconds, or None."""
    length = None
    if stream.duration and stream.time_base:
        length = float(stream.duration * stream.time_base)
    elif container.duration:
        length = container.duration / av.time_base
    if length is None or length <= 0:
        return None
    bit_rate = stream.codec_context.bit_rate
    if kind in ("wav", "aiff") and bit_rate:  # a recorder that was cut off leaves any number in the header
        length = min(length, size * 8 / bit_rate)
    return length


def _counted_s(container: InputContainer, stream: AudioStream, limit_s: float) -> float:
    """Add up the packets, without decoding them, until they exceed the limit."""
    total = 0.0
    try:
        for packet in container.demux(stream):
            if packet.duration and packet.time_base:
                total += float(packet.duration * packet.time_base)
            if total > limit_s:
                break
    except av.error.FFmpegError:
        pass  # what can be read so far counts
    return total


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Decode what can be decoded: a broken packet is skipped, a cut file ends early, mostly broken is damaged."""
    good = bad = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
            good += 1
        except (StopIteration, av.error.EOFError):
            break
        except av.error.FFmpegError:
            bad += 1
            if bad > 1_000 + good:
                break
            continue
        for frame in frames:
            _check_shape(frame.sample_rate, frame.layout.nb_channels)
            yield frame
    if bad > good:
        raise Refused("damaged")


def decode(request: dict[str, Any], file: BinaryIO, out: BinaryIO, tell: Tell) -> dict[str, Any]:
    """Probe, refuse by length, decode and write the samples; return title, codec, channels and samples' number."""
    kind, limit_s, rate_hz = request["kind"], float(request["max_seconds"]), int(request["rate_hz"])
    size = os.fstat(file.fileno()).st_size
    container = _open(file, kind)
    stream = _sound_track(container)
    length_s = _length_s(container, stream, kind, size)
    if length_s is not None and length_s > limit_s:
        if kind not in _ESTIMATED or _counted_s(container, stream, limit_s) > limit_s:
            raise Refused("too_long", seconds=length_s)
        container = _open(file, kind)
        stream = _sound_track(container)
    tags = {key.lower(): value for key, value in {**container.metadata, **stream.metadata}.items()}
    channels = stream.codec_context.layout.nb_channels
    mixer, samples, told_at = Mixer(rate_hz, request["mean"]), 0, 0
    cap = int(limit_s * rate_hz) + rate_hz  # a second of grace for encoder padding

    def write(blocks: Iterator[memoryview]) -> None:
        nonlocal samples
        for block in blocks:
            samples += len(block) // _BYTES_PER_SAMPLE
            if samples > cap:
                raise Refused("too_long")
            out.write(block)

    for frame in _frames(container, stream):
        write(mixer.push(frame))
        if samples - told_at > _TELL_EVERY_S * rate_hz:
            told_at = samples
            tell(samples / rate_hz / max(length_s or limit_s, 1.0))
    write(mixer.flush())
    out.flush()
    title = tags.get("title", "")[:4_000]
    return {"title": title, "codec": stream.codec_context.name, "channels": channels, "samples": samples}


def answer(request: dict[str, Any], file: BinaryIO, out: BinaryIO, tell: Tell) -> dict[str, Any]:
    """Do as `decode`, and say what goes wrong as a code with facts."""
    try:
        return decode(request, file, out, tell)
    except Refused as refusal:
        return {"refused": refusal.code, **refusal.facts}
    except av.error.FFmpegError as error:
        return {"refused": "damaged", "detail": str(error)[:500]}
    except OSError as error:
        return {"refused": "write", "errno": error.errno or 0}
    except Exception as error:  # PyAV meets odd files with ValueError, KeyError, MemoryError and others
        return {"refused": "damaged", "detail": f"{type(error).__name__}: {error}"[:500]}


def _work(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    close_doors()
    av.logging.set_level(None)
    with io.FileIO(0, "rb", closefd=False) as file:
        out = os.fdopen(int(request["out"]), "wb", 1 << 20)
        said = answer(request, file, out, tell)
        with contextlib.suppress(OSError):  # of a full disk it knows, and closing tries to write once more
            out.close()
        return said


if __name__ == "__main__":
    serve(_work)
