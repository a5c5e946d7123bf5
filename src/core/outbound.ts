import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { checkedLookup, type Endpoint, type Resolve } from './egress.ts'

export interface OutboundOptions {
  readonly endpoint: Endpoint
  /** From the start of a request to the last byte of its answer. */
  readonly deadlineMs: number
  readonly connectMs: number
  readonly socketsMax: number
  readonly answerBytesMax: number
  /** How long an idle connection is kept, 0: not at all. Short: a request on one that the other side just closed has an unknown fate. */
  readonly idleMs: number
  /** Finds addresses; the system's own way unless given. */
  readonly findAddresses?: Resolve
}

/** A request as it is sent: these headers and what HTTP itself needs, no others. */
export interface OutboundRequest {
  readonly method: 'GET' | 'POST' | 'PATCH'
  /** With its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** null: none. */
  readonly body: string | null
  /** Only the head matters: what follows is dropped, and waited for no longer than a second. */
  readonly dropBody?: true
}

/** An answer as it came over the wire. */
export interface WireAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** Sends requests to one endpoint. */
export interface Outbound {
  /** @throws OutboundFailure */
  send (request: OutboundRequest): Promise<WireAnswer>
  close (): void
}

/** No usable answer came. The cause is the library's, and may name addresses. */
export class OutboundFailure extends Error {
  override readonly name = 'OutboundFailure'
  /** false: no byte of the request left. */
  readonly sent: boolean
  readonly reason: 'unreachable' | 'late' | 'cut' | 'too-large'

  constructor (sent: boolean, reason: OutboundFailure['reason'], cause?: unknown) {
    super(`no answer: ${reason}`, cause === undefined ? undefined : { cause })
    this.sent = sent
    this.reason = reason
  }
}

/**
 * One connection pool for one endpoint: TLS 1.2 or later with the certificate always verified, no
 * proxy, no redirects, bounded sockets, time and answers (SEC-163, SEC-164, SEC-367). A request is
 * sent once; the error says whether any of it left.
 */
export function createOutbound (options: OutboundOptions): Outbound {
  const { endpoint, socketsMax, idleMs } = options
  const settings = {
    keepAlive: idleMs > 0, maxSockets: socketsMax, maxFreeSockets: socketsMax, ...(idleMs > 0 && { timeout: idleMs })
  }
  const agent = endpoint.secure
    ? new https.Agent({ ...settings, rejectUnauthorized: true, minVersion: 'TLSv1.2' })
    : new http.Agent(settings)
  const fixed = {
    agent,
    hostname: endpoint.hostname,
    port: endpoint.port,
    lookup: checkedLookup(endpoint.mayConnect, options.findAddresses)
  }
  const begin = endpoint.secure ? https.request : http.request

  return {
    send: ({ method, path, headers, body, dropBody = false }) => new Promise((resolve, reject) => {
      exchange(begin({ ...fixed, method, path, headers }), body, { ...options, dropBody, resolve, reject })
    }),
    close: () => { agent.destroy() }
  }
}

/** How long a body that is dropped may take, so that what sends it is not cut off in the usual case. */
const dropMs = 1000

interface Exchange extends OutboundOptions {
  readonly dropBody: boolean
  readonly resolve: (answer: WireAnswer) => void
  readonly reject: (error: Error) => void
}

function exchange (outgoing: http.ClientRequest, body: string | null, exchange: Exchange): void {
  const { endpoint, deadlineMs, connectMs, answerBytesMax, dropBody, resolve, reject } = exchange
  let sent = false
  let connecting: NodeJS.Timeout | undefined
  const deadline = setTimeout(() => { fail('late') }, deadlineMs)

  function settle (): void {
    clearTimeout(deadline)
    clearTimeout(connecting)
  }

  function fail (reason: OutboundFailure['reason'], cause?: unknown): void {
    settle()
    reject(new OutboundFailure(sent, sent ? reason : 'unreachable', cause))
    outgoing.destroy()
  }

  outgoing.once('socket', (socket: Socket) => {
    sent = outgoing.reusedSocket || !socket.connecting
    if (sent) return
    connecting = setTimeout(() => { if (!sent) fail('unreachable') }, connectMs)
    socket.once(endpoint.secure ? 'secureConnect' : 'connect', () => {
      sent = true
      clearTimeout(connecting)
    })
  })
  outgoing.once('error', (error) => { fail('cut', error) })
  outgoing.once('response', (incoming) => {
    const { statusCode: status = 0, headers } = incoming
    if (dropBody) {
      drop(incoming, answerBytesMax, () => {
        settle()
        resolve({ status, headers, body: Buffer.alloc(0) })
        outgoing.destroy()
      })
      return
    }
    const chunks: Buffer[] = []
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > answerBytesMax) fail('too-large')
      else chunks.push(chunk)
    })
    incoming.once('error', (error) => { fail('cut', error) })
    incoming.once('close', () => { if (!incoming.complete) fail('cut') })
    incoming.once('end', () => {
      if (!incoming.complete) return
      settle()
      resolve({ status, headers, body: Buffer.concat(chunks) })
    })
  })
  outgoing.end(body ?? undefined)
}

/** Reads what nobody wants until its end, or until it is too much or takes too long. */
function drop (incoming: http.IncomingMessage, bytesMax: number, done: () => void): void {
  const timer = setTimeout(done, dropMs)
  let bytes = 0
  incoming.on('error', () => {})
  incoming.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > bytesMax) done()
  })
  incoming.once('close', () => {
    clearTimeout(timer)
    done()
  })
}
