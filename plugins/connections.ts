import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../src/core/clock.ts'
import { plainAddress, sourceOf, type ClientAddress } from './client-address.ts'
import { standIns, watchListVerb, type ListVerb, type RewrittenVerb } from './list-verb.ts'

/** Bounds on connections. */
export interface ConnectionLimits {
  /** Open connections together (SEC-297). */
  readonly connectionsMax: number
  /** Open connections from one source; trusted proxies are exempt. */
  readonly connectionsPerSourceMax: number
  /** How long a client may take none of an answer's bytes before it is cut off (SEC-288). */
  readonly writeStallMs: number
}

/** Why something of the transport was refused without there being a request to audit (SEC-259). */
export type TransportRefusal =
  | 'malformed' | 'headers_too_large' | 'timeout' | 'tls' | 'reset' | 'too_many_connections' | 'too_many_from_source' | 'too_many_pipelined' |
  'unread_answer'

/** One kind of refusal so far: how often, and who came last. */
export interface RefusalCount { readonly count: number, readonly lastAddress: string, readonly lastAtMs: number }

/** What is known of a connection. */
export interface Connection {
  readonly address: string
  readonly port: number
}

/** The connections of a server. */
export interface Connections {
  of (request: IncomingMessage): Connection
  /** The method that the client sent, stand-ins undone. */
  methodOf (request: IncomingMessage): string
  readonly refusals: ReadonlyMap<TransportRefusal, RefusalCount>
  readonly open: () => number
  /** Calls `end` if the bytes of a request whose rest is being skipped turn out to be none. */
  whenBroken (request: IncomingMessage, end: () => void): void
  /** Hears whether a request waits for its body, without which it has no answer. */
  gathers (request: IncomingMessage, isGathering: boolean): void
  /** Cuts a client off that does not read its answer; call once the answer is handed over. */
  guardAnswer (response: ServerResponse): void
  /** What to do when bytes were no request: count, and say so after the answers that are owed. */
  readonly onClientError: (error: Error, socket: Socket) => void
  /** Runs `work` once the requests before this one on its connection have been answered (SEC-306). */
  inTurn (request: IncomingMessage, work: () => void): void
  /** Starts watching a server; plain and TLS servers alike. Its `clientError` is for `onClientError`. */
  watch (server: Server, event: 'connection' | 'secureConnection'): void
}

interface State extends Connection {
  readonly listVerb: ListVerb
  answersOwed: number
  readonly waiting: (() => void)[]
  /** Whether no more is read until those that wait were answered. */
  isPaused: boolean
  last: IncomingMessage | null
  /** The request whose body is being gathered. */
  gathering: IncomingMessage | null
  onBroken: (() => void) | null
  /** 1 where the last request can never be answered, for its body broke off. */
  unanswerable: 0 | 1
  /** What to say, once the answers owed are out, about bytes that were no request. */
  farewell: string | null
}

/** Requests that wait for those before them, from which on nothing more is read. */
const pipelinedPause = 32
/** Requests that may wait; one read of the socket can hold more than were asked for. */
const pipelinedMax = 1024

const standInMethods: ReadonlySet<string> = new Set(Object.values(standIns))
const unknownConnection: Connection = { address: '', port: 0 }

function farewellFor (status: string): string {
  const body = '{"errors":[]}'
  return `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncache-control: no-store\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

const farewells: Readonly<Record<'malformed' | 'headers_too_large' | 'timeout', string>> = {
  malformed: farewellFor('400 Bad Request'),
  headers_too_large: farewellFor('431 Request Header Fields Too Large'),
  timeout: farewellFor('408 Request Timeout')
}

function reasonOf (error: Error): TransportRefusal {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'timeout'
  if (code.startsWith('HPE_')) return 'malformed'
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'reset' : 'tls'
}

/** Keeps the connections of a server within bounds, knows their clients, and lets LIST, SCAN and HELP through. */
export function createConnections ({ limits, clientAddress, clock }: {
  limits: ConnectionLimits, clientAddress: ClientAddress, clock: Clock
}): Connections {
  const states = new WeakMap<Socket, State>()
  const rewritten = new WeakMap<IncomingMessage, RewrittenVerb>()
  const perSource = new Map<string, number>()
  const refusals = new Map<TransportRefusal, RefusalCount>()
  let open = 0

  function refuse (reason: TransportRefusal, address: string): void {
    refusals.set(reason, { count: (refusals.get(reason)?.count ?? 0) + 1, lastAddress: address, lastAtMs: clock.now() })
  }

  /** Counts a new TCP connection, or drops it. Runs before TLS begins. */
  function admit (socket: Socket): void {
    const address = plainAddress(socket.remoteAddress ?? '')
    const source = clientAddress.isTrusted(address) ? null : sourceOf(address)
    const ofSource = source === null ? 0 : perSource.get(source) ?? 0
    if (open >= limits.connectionsMax || ofSource >= limits.connectionsPerSourceMax) {
      refuse(open >= limits.connectionsMax ? 'too_many_connections' : 'too_many_from_source', address)
      socket.destroy()
      return
    }
    open++
    if (source !== null) perSource.set(source, ofSource + 1)
    socket.once('close', () => {
      open--
      if (source === null) return
      const left = (perSource.get(source) ?? 1) - 1
      if (left === 0) perSource.delete(source)
      else perSource.set(source, left)
    })
  }

  function begin (socket: Socket): void {
    if (socket.destroyed) return
    const state: State = {
      address: plainAddress(socket.remoteAddress ?? ''),
      port: socket.remotePort ?? 0,
      listVerb: watchListVerb(socket),
      answersOwed: 0,
      waiting: [],
      isPaused: false,
      last: null,
      gathering: null,
      onBroken: null,
      unanswerable: 0,
      farewell: null
    }
    states.set(socket, state)
  }

  function onRequest (request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const state = states.get(socket)
    if (state === undefined) return
    const verb = state.listVerb.announced(request)
    if (verb !== null) rewritten.set(request, verb)
    state.last = request
    state.answersOwed++
    response.on('close', () => {
      state.answersOwed--
      if (socket.destroyed) state.waiting.length = 0
      state.waiting.shift()?.()
      resumeWhenDue(socket, state)
      leaveWhenDue(socket, state)
    })
  }

  function onClientError (error: Error, socket: Socket): void {
    const reason = reasonOf(error)
    const state = states.get(socket)
    refuse(reason, state?.address ?? plainAddress(socket.remoteAddress ?? ''))
    if (!socket.writable || reason === 'reset' || reason === 'tls') {
      socket.destroy()
      return
    }
    const farewell = reason === 'headers_too_large' || reason === 'timeout' ? farewells[reason] : farewells.malformed
    socket.pause()
    if (state === undefined) {
      socket.end(farewell, () => socket.destroy())
      return
    }
    const { last, waiting } = state
    const isBroken = last?.complete === false
    const isUnanswerable = isBroken && (state.gathering === last || waiting.length > 0)
    if (isUnanswerable) {
      waiting.pop()
      state.unanswerable = 1
    }
    // A request that is being answered without the rest of its body gets that one answer and no other.
    state.farewell = isBroken && !isUnanswerable ? '' : farewell
    state.onBroken?.()
    leaveWhenDue(socket, state)
  }

  /** Who sends faster than is answered waits, and does not fill our memory. */
  function wait (socket: Socket, state: State, work: () => void): void {
    if (socket.destroyed) return
    if (state.waiting.length >= pipelinedMax) {
      refuse('too_many_pipelined', state.address)
      socket.destroy()
      return
    }
    state.waiting.push(work)
    if (state.waiting.length < pipelinedPause) return
    state.isPaused = true
    socket.pause()
  }

  return {
    of: (request) => states.get(request.socket) ?? unknownConnection,
    methodOf (request) {
      const method = request.method ?? ''
      return standInMethods.has(method) ? rewritten.get(request) ?? '' : method
    },
    refusals,
    open: () => open,
    onClientError,
    inTurn (request, work) {
      const state = states.get(request.socket)
      if (state === undefined || state.answersOwed <= 1) work()
      else wait(request.socket, state, work)
    },
    whenBroken (request, end) {
      const state = states.get(request.socket)
      if (state === undefined) return
      if (state.farewell === null) state.onBroken = end
      else end()
    },
    gathers (request, isGathering) {
      const state = states.get(request.socket)
      if (state !== undefined) state.gathering = isGathering ? request : null
    },
    guardAnswer (response) {
      const { socket } = response
      if (socket === null || response.writableFinished || socket.writableLength === 0) return
      const cut = () => {
        refuse('unread_answer', states.get(socket)?.address ?? '')
        socket.destroy()
      }
      socket.setTimeout(limits.writeStallMs)
      response.once('timeout', cut)
    },
    watch (server, event) {
      server.prependListener('connection', admit)
      server.on(event, begin)
      server.prependListener('request', onRequest)
      server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
        onRequest(request, response)
        response.writeHead(417, ['content-length', '0', 'connection', 'close'])
        response.end()
      })
    }
  }
}

function resumeWhenDue (socket: Socket, state: State): void {
  if (!state.isPaused || state.farewell !== null || state.waiting.length > pipelinedPause / 2) return
  state.isPaused = false
  socket.resume()
}

function leaveWhenDue (socket: Socket, state: State): void {
  if (state.farewell === null || state.answersOwed > state.unanswerable) return
  if (socket.writable) socket.end(state.farewell, () => socket.destroy())
  state.farewell = null
}
