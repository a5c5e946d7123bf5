import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BrokerRequest, BrokerResponse } from '../src/broker/request.ts'
import { isListing, type EventsFor, type Verb } from '../src/core/backend.ts'
import type { Clock } from '../src/core/clock.ts'
import { BrokerError, invalidRequest } from '../src/core/errors.ts'
import { parseGoBoolean } from '../src/core/fields.ts'
import type { Json, JsonObject } from '../src/core/json.ts'
import { noQuery, parseTarget, type Query, type Target } from '../src/core/path.ts'
import { announcedBytes, checkContentEncoding, checkPatchType, drainBody, parseBody, readBody } from './bodies.ts'
import type { ClientAddress } from './client-address.ts'
import type { Connections } from './connections.ts'
import { logFailure, writeEmpty, writeError, writeJson, type FailureLog, writeText } from './errors.ts'
import { readHeaders, type RequestHeaders } from './request-headers.ts'
import { createTogether } from './together.ts'

/** The one door that every request goes through. */
export interface Door {
  handle (request: BrokerRequest): Promise<BrokerResponse>
}

/** Bounds on bodies, in bytes. */
export interface BodyLimits {
  /** For routes without a token, and for callers who show none of ours (SEC-285). */
  readonly bodyBytesMaxPublic: number
  /** For everyone else (contract 1.6). */
  readonly bodyBytesMax: number
}

/** What the API's handler works with. */
export interface ApiOptions {
  readonly broker: Door
  readonly newRequestId: () => string
  readonly clock: Clock
  readonly logger: FailureLog
  readonly limits: BodyLimits
  readonly connections: Connections
  readonly clientAddress: ClientAddress
  /** Whether a path is served without a token; asked before a body is read. */
  readonly isPublic: (path: string) => boolean
  /** Whether a token may be one of ours, by its signature alone; asked before a large body is read. */
  readonly isOurs: (clientToken: string) => boolean
  /** Refuses a request before its body is read, say by a rate limit (SEC-068). */
  readonly admit: (request: BrokerRequest) => BrokerError | null
  /** Answers with events, until they end. */
  readonly openStream: (response: ServerResponse, stream: EventsFor, head: boolean) => void
  /** Whether the server is stopping, so that connections end with their answers. */
  readonly isStopping: () => boolean
}

/** Answers one request; `target` is as the client sent it. */
export type Serve = (request: IncomingMessage, response: ServerResponse, target: string) => void

/** What a request wants to do, and the data of its query. */
interface Intent { readonly verb: Verb | 'help', readonly data?: JsonObject }

interface Method extends Intent { readonly takesQuery: boolean }

const methods: ReadonlyMap<string, Method> = new Map([
  ['GET', { verb: 'read', takesQuery: true }],
  ['HEAD', { verb: 'read', takesQuery: true }],
  ['LIST', { verb: 'list', takesQuery: true }],
  ['SCAN', { verb: 'scan', takesQuery: true }],
  ['DELETE', { verb: 'delete', takesQuery: true }],
  ['HELP', { verb: 'help', takesQuery: true }],
  ['POST', { verb: 'write', takesQuery: false }],
  ['PUT', { verb: 'write', takesQuery: false }],
  ['PATCH', { verb: 'patch', takesQuery: false }]
])
const otherMethod: Method = { verb: 'read', takesQuery: false }
const nowhere: Target = { path: '', trailingSlash: false, query: noQuery }
const noHeaders: readonly string[] = []
/** A body that nobody reads is skipped up to here; beyond, the connection ends with the answer. */
const SKIPPED_BYTES_MAX = 65_536

const emptyStatus = { accepted: 202, unchanged: 304 } as const

/** A request on its way to the broker, with what its answer will need. */
interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly headers: RequestHeaders
  readonly asked: { -readonly [K in keyof BrokerRequest]: BrokerRequest[K] }
}

/**
 * Turns HTTP into BrokerRequests and their outcomes into HTTP, and decides nothing else. Whatever is
 * wrong with a request travels as its `refusal` through the broker, so that it is audited.
 */
export function createApi (options: ApiOptions): Serve {
  const { broker, clientAddress, clock, connections, limits, logger } = options

  function understand (request: IncomingMessage, response: ServerResponse, rawTarget: string): Exchange {
    const connection = connections.of(request)
    const headers = readHeaders(request)
    const address = clientAddress.find(connection.address, headers.forwardedFor)
    const parsed = parseTarget(rawTarget)
    const target = parsed instanceof BrokerError ? nowhere : parsed
    const methodName = connections.methodOf(request)
    const method = methods.get(methodName) ?? otherMethod
    const intent = target.query === noQuery ? method : readSwitches(method, methodName === 'GET', target.query)
    const refusal = headers.refusal ?? firstError(address, parsed, intent) ??
      (method === otherMethod ? new BrokerError('unsupported_operation', '') : null)
    const { verb, data = {} } = intent instanceof BrokerError ? method : intent
    return {
      request,
      response,
      headers,
      asked: {
        id: options.newRequestId(),
        receivedAtMs: clock.now(),
        verb,
        head: methodName === 'HEAD',
        path: target.path,
        clientToken: headers.clientToken,
        data,
        bodyText: null,
        accept: headers.accept,
        ifNoneMatch: headers.ifNoneMatch,
        whenGone: (act) => { onClose(response, act) },
        remoteAddress: typeof address === 'string' ? address : connection.address,
        remotePort: connection.port,
        socketAddress: connection.address,
        wrapTtlSeconds: headers.wrapTtlSeconds,
        refusal: refusal ?? checkTrailingSlash(verb, target)
      }
    }
  }

  function readThenAsk (exchange: Exchange): void {
    const { request, headers, asked } = exchange
    asked.refusal = options.admit(asked) ?? checkContentEncoding(headers.contentEncoding) ??
      (asked.verb === 'patch' ? checkPatchType(headers.contentType) : null)
    if (asked.refusal !== null) return ask(exchange)
    connections.gathers(request, true)
    readBody(request, bodyBytesMax(exchange), (bytes) => {
      connections.gathers(request, false)
      try {
        if (bytes instanceof BrokerError) throw bytes
        const body = parseBody(bytes, headers.contentType)
        asked.data = body.data
        asked.bodyText = body.text
      } catch (error) {
        asked.refusal = error instanceof BrokerError ? error : new BrokerError('failed', 'internal error', { cause: error })
      }
      ask(exchange)
    })
  }

  function bodyBytesMax ({ request, asked: { clientToken, path } }: Exchange): number {
    if (announcedBytes(request) <= limits.bodyBytesMaxPublic) return limits.bodyBytesMaxPublic
    const trusted = clientToken !== null && !options.isPublic(path) && options.isOurs(clientToken)
    return trusted ? limits.bodyBytesMax : limits.bodyBytesMaxPublic
  }

  const ask = createTogether(async (exchange: Exchange) => {
    try {
      write(exchange, await broker.handle(exchange.asked))
    } catch (error) {
      logFailure(logger, exchange.asked.id, error)
      if (exchange.response.headersSent) exchange.response.destroy()
      else writeFailure(exchange, error)
    }
  })

  function write (exchange: Exchange, answer: BrokerResponse): void {
    const { response } = exchange
    if (options.isStopping()) response.shouldKeepAlive = false
    if (answer.kind === 'stream') return options.openStream(response, answer.stream, exchange.asked.head)
    const extra = extraHeaders(exchange, answer)
    if (answer.kind === 'empty') writeEmpty(response, answer.as === undefined ? 204 : emptyStatus[answer.as], extra)
    else if (answer.kind === 'text') writeText(response, answer)
    else writeJson(response, answer.as === 'accepted' ? 202 : answer.as === 'absent' ? 404 : 200, answer.json, extra)
    connections.guardAnswer(response)
  }

  function writeFailure (exchange: Exchange, error: unknown): void {
    const { request, response, asked } = exchange
    const ends = asked.refusal?.code === 'too_large' || announcedBytes(request) > SKIPPED_BYTES_MAX
    const drains = ends && !request.complete
    const end = () => { response.end() }
    const hold = () => {
      connections.whenBroken(request, end)
      drainBody(request, end)
    }
    if (ends || options.isStopping()) response.shouldKeepAlive = false
    writeError(response, error, extraHeaders(exchange), drains ? hold : undefined)
    connections.guardAnswer(response)
  }

  function start (request: IncomingMessage, response: ServerResponse, target: string): void {
    if (options.isStopping() || request.httpVersionMinor === 0) response.shouldKeepAlive = false
    const exchange = understand(request, response, target)
    const { verb, refusal } = exchange.asked
    if (refusal === null && (verb === 'write' || verb === 'patch')) readThenAsk(exchange)
    else {
      if (refusal === null) exchange.asked.refusal = options.admit(exchange.asked)
      if (announcedBytes(request) > SKIPPED_BYTES_MAX) response.shouldKeepAlive = false
      ask(exchange)
    }
  }

  return (request, response, target) => connections.inTurn(request, () => start(request, response, target))
}

/** Also where it is closed already. */
function onClose (response: ServerResponse, act: () => void): void {
  if (response.closed) act()
  else response.once('close', act)
}

function firstError (...values: readonly unknown[]): BrokerError | null {
  for (const value of values) if (value instanceof BrokerError) return value
  return null
}

function checkTrailingSlash (verb: BrokerRequest['verb'], target: Target): BrokerError | null {
  if (!target.trailingSlash || isListing(verb) || verb === 'help') return null
  const writes = verb === 'write' || verb === 'patch'
  return invalidRequest(writes ? 'cannot write to a path ending in \'/\'' : 'malformed path')
}

/**
 * Takes the switches out of a query (contract 1.2): `help` with any method, `list` and `scan` with GET,
 * each once. What is left is data, for the methods whose query is data.
 */
function readSwitches (method: Method, isGet: boolean, query: Query): Intent | BrokerError {
  const { help } = query
  if (help !== undefined && typeof help !== 'string') return invalidRequest('malformed query')
  const asksHelp = help !== undefined && help !== ''
  if (!asksHelp && !method.takesQuery) return method
  const data: Record<string, Json> = Object.assign(Object.create(null), query)
  if (asksHelp) delete data['help']
  if (asksHelp || !isGet) return { verb: asksHelp ? 'help' : method.verb, data }
  const list = readSwitch(data, 'list')
  const scan = readSwitch(data, 'scan')
  if (list instanceof BrokerError) return list
  if (scan instanceof BrokerError) return scan
  if (scan && list) return invalidRequest('')
  return { verb: scan ? 'scan' : list ? 'list' : method.verb, data }
}

function readSwitch (data: Record<string, Json>, name: string): boolean | BrokerError {
  const text = data[name]
  if (text === undefined) return false
  if (typeof text !== 'string') return invalidRequest('malformed query')
  delete data[name]
  return text === '' ? false : parseGoBoolean(text) ?? invalidRequest('')
}

function extraHeaders (
  { headers: { namespace } }: Exchange, answer?: Exclude<BrokerResponse, { kind: 'stream' }>
): readonly string[] {
  const headers = answer === undefined || answer.kind === 'text' ? undefined : answer.headers
  if (namespace === null && headers === undefined) return noHeaders
  const extra = Object.entries(headers ?? {}).flat()
  return namespace === null ? extra : ['x-vault-namespace', namespace, ...extra]
}
