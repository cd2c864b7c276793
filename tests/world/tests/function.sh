#!/bin/bash
# A function in shell, for the driver's own tests: echoes its event, or does what the event says.
call() {
  exec 3<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API%:*}/${AWS_LAMBDA_RUNTIME_API#*:}"
  printf '%s /2018-06-01/runtime/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %s\r\n\r\n%s' \
    "$1" "$2" "${#3}" "$3" >&3
  cat <&3
}
if [ -n "$FAIL_TO_START" ]; then
  call POST init/error '{"errorType":"Config","errorMessage":"no table"}' >/dev/null
  exit 1
fi
while true; do
  answer=$(call GET invocation/next "")
  id=$(printf '%s' "$answer" | tr -d '\r' | sed -n 's/^lambda-runtime-aws-request-id: //p')
  event=$(printf '%s' "$answer" | tail -n 1)
  echo "got $event"
  case "$event" in
    *fail*) call POST "invocation/$id/error" '{"errorType":"Trouble","errorMessage":"as asked"}' >/dev/null ;;
    *hang*) exec sleep 60 ;;
    *die*) exit 3 ;;
    *) call POST "invocation/$id/response" "{\"echo\":$event}" >/dev/null ;;
  esac
done
