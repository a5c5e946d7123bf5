import type { ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import type { Outcome } from './dispatch.ts'
import type { Fault } from './faults.ts'

/** Every answer says what this is not. */
export const notAws = { name: 'x-emulator', value: 'not-aws' }

/** Sends an outcome, or what its fault makes of it. `delayMs` is how long the fault waits. */
export async function sendOutcome (
  response: ServerResponse, outcome: Outcome, delayMs: number, closing: AbortSignal
): Promise<void> {
  const { fault } = outcome
  if (fault === null) return sendPlain(response, outcome)
  if (delayMs > 0) await wait(delayMs, undefined, { signal: closing, ref: false })
  if (fault.kind === 'hang') return
  if (fault.kind === 'reset') {
    response.socket?.resetAndDestroy()
    return
  }
  if (fault.kind === 'truncated') return sendTruncated(response, outcome)
  sendPlain(response, changed(outcome, fault), fault.kind === 'redirect' ? fault.location ?? '/elsewhere' : null)
}

function changed (outcome: Outcome, { kind, status }: Fault): Outcome {
  const { rendered } = outcome
  switch (kind) {
    case 'malformed-xml':
      return { ...outcome, rendered: { ...rendered, text: `${rendered.text.slice(0, Math.ceil(rendered.text.length / 2))}<&` } }
    case 'empty':
      return { ...outcome, rendered: { ...rendered, text: '' } }
    case 'html':
      return {
        ...outcome,
        rendered: {
          status: status ?? 200,
          contentType: 'text/html',
          text: '<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>Please sign in</h1><br></body></html>'
        }
      }
    case 'redirect':
      return { ...outcome, rendered: { status: status ?? 302, contentType: 'text/html', text: '' } }
    default:
      return outcome
  }
}

function headersOf ({ requestId, rendered, dateMs }: Outcome): Record<string, string | number> {
  return {
    [notAws.name]: notAws.value,
    'x-amzn-RequestId': requestId,
    'x-amz-request-id': requestId,
    'Content-Type': rendered.contentType,
    'Content-Length': Buffer.byteLength(rendered.text),
    Date: new Date(dateMs).toUTCString()
  }
}

function sendPlain (response: ServerResponse, outcome: Outcome, location: string | null = null): void {
  const headers = headersOf(outcome)
  response.writeHead(outcome.rendered.status, location === null ? headers : { ...headers, Location: location })
  response.end(outcome.rendered.text)
}

/** Announces the whole length, sends half, and goes. */
function sendTruncated (response: ServerResponse, outcome: Outcome): void {
  const bytes = Buffer.from(outcome.rendered.text)
  response.writeHead(outcome.rendered.status, headersOf(outcome))
  response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => response.socket?.destroy())
}
