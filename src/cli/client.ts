import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { isJsonObject, parseExact, type JsonObject } from '../core/json.ts'
import { CallFailure, codeOf, Failure, type CallFacts, type FailureKind } from './failure.ts'
import type { Parts } from './parts.ts'
import { encodePath, encodeQuery } from './paths.ts'
import type { Connection } from './settings.ts'

/** A call to the broker. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** What is called, for people: with the mount's own path, never with a name that rotates. */
  readonly what: string
  /** Segments below `/v1/`. */
  readonly path: readonly string[]
  readonly query?: Readonly<Record<string, string | null>>
  /** JSON. */
  readonly body?: string
  readonly token?: string
  /** Asks for the answer wrapped. */
  readonly wrapTtl?: string
  /**
   * When it may be sent again. `unsent`: only where nothing was done for certain, since each issue is
   * another credential; `safe`: also after an answer was lost.
   */
  readonly repeat: 'unsent' | 'safe'
  /** The longest that the broker may take on purpose, besides `callMs`. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

/** A success. */
export interface Answer {
  /** null: there was none, as after a 204. Numbers keep their digits. */
  readonly body: JsonObject | null
}

export interface Client {
  readonly origin: string
  /** @throws CallFailure for all that is no success, and Failure for an answer that makes no sense. */
  ask (call: Call): Promise<Answer>
  /** How far the broker's clock was ahead of this machine's at its last answer, ms; null: not known yet. */
  aheadMs (): number | null
}

/** Bounds on what a broker may make us wait for and keep. */
export interface ClientLimits {
  readonly connectMs: number
  /** For a whole call. */
  readonly callMs: number
  readonly answerBytesMax: number
}

const usualLimits: ClientLimits = { connectMs: 10_000, callMs: 20_000, answerBytesMax: 32 * 1024 * 1024 }
const triesMax = 3
const retryAfterSecondsMax = 30

/**
 * A client of one broker. It follows no redirect, uses no proxy, and sends a token nowhere else
 * (SEC-334, SEC-336); answers are bounded in size and time (SEC-337).
 */
export function createClient (
  connection: Connection, parts: Pick<Parts, 'now' | 'pause' | 'random'>, limits = usualLimits
): Client {
  let aheadMs: number | null = null

  async function once (call: Call): Promise<Answer> {
    const exchange = await send(connection, call, limits)
    const dateMs = Date.parse(exchange.headers.date ?? '')
    // The header has whole seconds, cut: on average it is half a second old.
    if (Number.isFinite(dateMs)) aheadMs = dateMs + 500 - parts.now()
    return judge(call, exchange)
  }

  return {
    origin: connection.origin.text,
    aheadMs: () => aheadMs,
    async ask (call) {
      for (let tries = 1; ; tries++) {
        try {
          return await once(call)
        } catch (error) {
          if (tries === triesMax || !mayRepeat(error, call)) throw error
          const seconds = error.facts.retryAfterSeconds ?? tries
          await parts.pause(seconds * 500 + parts.random(seconds * 500 + 1), call.signal)
        }
      }
    }
  }
}

function mayRepeat (error: unknown, { repeat, signal }: Call): error is CallFailure {
  if (!(error instanceof CallFailure) || signal?.aborted === true) return false
  if (error.kind !== 'unavailable') return false
  const { status, isUnsent, retryAfterSeconds } = error.facts
  if ((retryAfterSeconds ?? 0) > retryAfterSecondsMax) return false
  if (isUnsent || status === 429) return true
  return repeat === 'safe' && (status === null || status === 502 || status === 503 || status === 504)
}

interface Exchange {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly bytes: Buffer
}

function send ({ origin, ca, clientCert }: Connection, call: Call, limits: ClientLimits): Promise<Exchange> {
  const { isTls, host, port } = origin
  const { connectMs } = limits
  const limitMs = limits.callMs + (call.waitMs ?? 0)
  return new Promise((resolve, reject) => {
    let isUnsent = true
    const fail: Fail = (reason, cause, kind = 'unavailable') => {
      const facts = { status: null, isUnsent, retryAfterSeconds: null }
      reject(new CallFailure(kind, `${call.method} ${call.what}: ${reason}`, facts, { cause }))
      request.destroy()
      settle()
    }
    const common = {
      host,
      port,
      method: call.method,
      path: `/v1/${encodePath(call.path)}${encodeQuery(call.query ?? {})}`,
      headers: headersOf(call)
    }
    const take = (response: IncomingMessage) => collect(response, limits.answerBytesMax, fail, (bytes) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes })
      settle()
    })
    // An agent of its own: the shared one may be told to use a proxy by the environment.
    const request = isTls
      ? https.request({ ...common, agent: new https.Agent(), minVersion: 'TLSv1.2', rejectUnauthorized: true, ...(ca !== null && { ca }), ...clientCert }, take)
      : http.request({ ...common, agent: new http.Agent() }, take)
    const abort = () => fail('stopped')
    const connecting = setTimeout(() => fail(`no connection to ${origin.text} within ${connectMs / 1000} s`), connectMs)
    const calling = setTimeout(() => fail(`no whole answer within ${limitMs / 1000} s`), limitMs)
    const settle = () => {
      clearTimeout(connecting)
      clearTimeout(calling)
      call.signal?.removeEventListener('abort', abort)
    }
    request.on('error', (error) => {
      const { reason, kind } = explain(error, origin.text)
      fail(reason, error, kind)
    })
    request.on('socket', (socket) => socket.once(isTls ? 'secureConnect' : 'connect', () => {
      isUnsent = false
      clearTimeout(connecting)
    }))
    call.signal?.addEventListener('abort', abort, { once: true })
    if (call.signal?.aborted === true) abort()
    request.end(call.body)
  })
}

function headersOf ({ token, wrapTtl, body }: Call): Record<string, string | number> {
  return {
    accept: 'application/json',
    'x-vault-request': 'true',
    ...(token !== undefined && { 'x-vault-token': token }),
    ...(wrapTtl !== undefined && { 'x-vault-wrap-ttl': wrapTtl }),
    ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  }
}

type Fail = (reason: string, cause?: unknown, kind?: FailureKind) => void

function collect (response: IncomingMessage, bytesMax: number, fail: Fail, done: (bytes: Buffer) => void): void {
  const chunks: Buffer[] = []
  let length = 0
  response.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > bytesMax) fail(`the answer is larger than ${bytesMax} bytes`)
    else chunks.push(chunk)
  })
  response.on('error', (error) => fail('the answer broke off', error))
  response.on('end', () => done(Buffer.concat(chunks)))
}

const plainReasons: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nobody answers at'],
  ['ENOTFOUND', 'there is no such host as that of'],
  ['EAI_AGAIN', 'no name server told where to find'],
  ['ECONNRESET', 'the connection broke to']
])

/** Why there was no answer. Messages of libraries are not repeated: who knows what is in them (SEC-338). */
function explain (error: Error, address: string): { reason: string, kind: FailureKind } {
  const code = codeOf(error)
  if (/CERT|SIGNATURE|ALTNAME|SELF_SIGNED|ISSUER/.test(code)) {
    return { reason: `the certificate of ${address} is not trusted (${code}); --ca-file names its authority`, kind: 'failed' }
  }
  const plain = plainReasons.get(code)
  return { reason: plain === undefined ? `no answer from ${address} (${code || 'unknown'})` : `${plain} ${address}`, kind: 'unavailable' }
}

function judge (call: Call, { status, headers, bytes }: Exchange): Answer {
  const isSuccess = status >= 200 && status < 300
  if (isSuccess && bytes.length === 0) return { body: null }
  const body = parseBody(headers, bytes)
  if (isSuccess) {
    if (body === null) throw new Failure('failed', `${call.method} ${call.what}: the answer is no JSON object`)
    return { body }
  }
  const facts: CallFacts = { status, isUnsent: false, retryAfterSeconds: secondsOf(headers) }
  throw new CallFailure(kindOf(status, body !== null), `${call.method} ${call.what}: ${wordsOf(status, body)} (${status})`, facts)
}

function parseBody (headers: IncomingMessage['headers'], bytes: Buffer): JsonObject | null {
  const type = headers['content-type']?.split(';')[0]?.trim()
  if (type !== 'application/json' || headers['content-encoding'] !== undefined) return null
  try {
    const value = parseExact(bytes.toString('utf8'))
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

/** How long the broker asks to wait: seconds, or a date by its own clock (RFC 9110, 10.2.3); null: it does not say. */
function secondsOf ({ 'retry-after': text = '', date = '' }: IncomingMessage['headers']): number | null {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  const seconds = Math.ceil((Date.parse(text) - Date.parse(date)) / 1000)
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null
}

/** What is no JSON is not the broker's, but of something in between: it says nothing of a token or a path. */
function kindOf (status: number, isJson: boolean): FailureKind {
  if (status < 400) return 'failed'
  if (status === 429 || status >= 500 || !isJson) return 'unavailable'
  return status === 404 ? 'absent' : 'refused'
}

const sentenceLengthMax = 500

/** The broker's own sentences, or what the status means. */
function wordsOf (status: number, body: JsonObject | null): string {
  const { errors, warnings } = body ?? {}
  const sentences = [errors, warnings].flatMap((list) => Array.isArray(list) ? list as unknown[] : [])
    .filter((each): each is string => typeof each === 'string' && each !== '')
  if (sentences.length > 0) return sentences.slice(0, 3).map((each) => each.trim().slice(0, sentenceLengthMax)).join('; ')
  if (status < 400) return 'the answer leads elsewhere, and is not followed'
  if (body === null) return 'the answer is none of a broker'
  return status === 404 ? 'there is nothing' : 'refused without a reason'
}
