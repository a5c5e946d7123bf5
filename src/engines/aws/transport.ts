import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { WireAnswer } from './answer-guard.ts'
import { checkedLookup, type Endpoint } from './egress.ts'
import { StsNotSent, StsUncertain } from './sts.ts'

export interface TransportOptions {
  readonly endpoint: Endpoint
  /** From the start of a request to the last byte of its answer. */
  readonly deadlineMs: number
  readonly connectMs: number
  readonly socketsMax: number
  readonly answerBytesMax: number
  /** How long an idle connection is kept. Short: a request on one that the other side just closed has an unknown fate. */
  readonly idleMs: number
}

/** Sends signed POSTs to one endpoint. */
export interface Transport {
  /** @throws StsNotSent, StsUncertain */
  post (headers: Readonly<Record<string, string>>, body: string): Promise<WireAnswer>
  close (): void
}

/**
 * One connection pool for one endpoint: TLS 1.2 or later with the certificate always verified, no
 * proxy, no redirects, bounded sockets, time and answers (SEC-163, SEC-164, SEC-367). A request is
 * sent once; the error says whether any of it left.
 */
export function createTransport (options: TransportOptions): Transport {
  const { endpoint, socketsMax, idleMs } = options
  const settings = { keepAlive: true, maxSockets: socketsMax, maxFreeSockets: socketsMax, timeout: idleMs }
  const agent = endpoint.secure
    ? new https.Agent({ ...settings, rejectUnauthorized: true, minVersion: 'TLSv1.2' })
    : new http.Agent(settings)
  const fixed = {
    agent,
    hostname: endpoint.hostname,
    port: endpoint.port,
    method: 'POST',
    path: '/',
    lookup: checkedLookup(endpoint.mayConnect)
  }
  const request = endpoint.secure ? https.request : http.request

  return {
    post: (headers, body) => new Promise((resolve, reject) => {
      exchange(request({ ...fixed, headers }), body, { ...options, resolve, reject })
    }),
    close: () => { agent.destroy() }
  }
}

interface Exchange extends TransportOptions {
  readonly resolve: (answer: WireAnswer) => void
  readonly reject: (error: Error) => void
}

function exchange (outgoing: http.ClientRequest, body: string, exchange: Exchange): void {
  const { endpoint, deadlineMs, connectMs, answerBytesMax, resolve, reject } = exchange
  let sent = false
  let connecting: NodeJS.Timeout | undefined
  const deadline = setTimeout(() => { fail('AWS STS did not answer in time') }, deadlineMs)

  function settle (): void {
    clearTimeout(deadline)
    clearTimeout(connecting)
  }

  function fail (message: string, cause?: unknown): void {
    settle()
    reject(sent ? new StsUncertain(message, { cause }) : new StsNotSent('AWS STS could not be reached', { cause }))
    outgoing.destroy()
  }

  outgoing.once('socket', (socket: Socket) => {
    sent = outgoing.reusedSocket || !socket.connecting
    if (sent) return
    connecting = setTimeout(() => { if (!sent) fail('AWS STS could not be reached') }, connectMs)
    socket.once(endpoint.secure ? 'secureConnect' : 'connect', () => {
      sent = true
      clearTimeout(connecting)
    })
  })
  outgoing.once('error', (error) => { fail('the connection to AWS STS broke off', error) })
  outgoing.once('response', (incoming) => {
    const chunks: Buffer[] = []
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > answerBytesMax) fail('AWS STS answered with more than an answer can hold')
      else chunks.push(chunk)
    })
    incoming.once('error', (error) => { fail('the connection to AWS STS broke off', error) })
    incoming.once('close', () => { if (!incoming.complete) fail('the connection to AWS STS broke off') })
    incoming.once('end', () => {
      if (!incoming.complete) return
      settle()
      resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) })
    })
  })
  outgoing.end(body)
}
