"""The workloads by name, in the order of the report."""

import bench_connections
import bench_download
import bench_echo
import bench_fastapi
import bench_idle
import bench_raw
import bench_stream
import bench_upload
import bench_workers

WORKLOADS = {
    "idle": bench_idle,
    "workers": bench_workers,
    "raw": bench_raw,
    "fastapi": bench_fastapi,
    "echo": bench_echo,
    "download": bench_download,
    "upload": bench_upload,
    "stream": bench_stream,
    "connections": bench_connections,
}
