-- What wrk sends (GET, or POST of as many bytes as the argument says) and its figures as JSON. Per request.

function init(args)
   if args[1] then
      wrk.method = "POST"
      wrk.body = string.rep("x", tonumber(args[1]))
      wrk.headers["Content-Type"] = "application/octet-stream"
   end
end

function done(summary, latency)
   local errors = summary.errors
   print(string.format(
      '{"requests": %d, "microseconds": %d, "errors": %d, "refused": %d, "p50": %d, "p99": %d}',
      summary.requests, summary.duration,
      errors.connect + errors.read + errors.write + errors.timeout, errors.status,
      latency:percentile(50), latency:percentile(99)))
end
