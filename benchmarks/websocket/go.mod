module saltare/benchmarks/websocket

go 1.26.0
