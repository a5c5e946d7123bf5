import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { createServer as createPlainServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { Server as NetServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { BrokerRequest } from '../src/broker/request.ts'
import type { Clock } from '../src/core/clock.ts'
import type { BrokerError } from '../src/core/errors.ts'
import { requestId } from '../src/core/ids.ts'
import { createApi, type ApiOptions, type BodyLimits, type Door } from './api.ts'
import { createClientAddress } from './client-address.ts'
import { createConnections, type ConnectionLimits, type Connections } from './connections.ts'
import { logFailure, writeError, type FailureLog } from './errors.ts'
import { standIns } from './list-verb.ts'
import { readHeaders } from './request-headers.ts'
import type { TlsFiles } from './tls.ts'

/** Bounds of the HTTP front. */
export interface HttpLimits extends BodyLimits, ConnectionLimits {
  /** Request line and headers together (SEC-290). */
  readonly headerBytesMax: number
  /** From the first byte of a request, or the connection's start, to the end of its headers (SEC-287). */
  readonly headersTimeoutMs: number
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  /** How often the two are looked at. */
  readonly timeoutCheckMs: number
}

/** Bounds for production. */
export const httpLimits: HttpLimits = {
  bodyBytesMaxPublic: 65_536,
  bodyBytesMax: 33_554_432,
  connectionsMax: 1024,
  connectionsPerSourceMax: 64,
  writeStallMs: 10_000,
  headerBytesMax: 16_384,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 60_000,
  timeoutCheckMs: 1000
}

/** What the HTTP front is made of. */
export interface HttpServerOptions {
  readonly broker: Door
  readonly clock: Clock
  readonly logger: FailureLog
  readonly limits?: Partial<HttpLimits>
  readonly newRequestId?: () => string
  /** Absent: plain HTTP, which the settings allow on loopback only. */
  readonly tls?: TlsFiles
  /** Addresses and CIDR ranges whose X-Forwarded-For is believed; none by default. */
  readonly trustedProxies?: readonly string[]
  /** Whether a path is served without a token. Default: login paths. */
  readonly isPublic?: (path: string) => boolean
  /** Whether a token may be ours, by its signature alone. Default: every token. */
  readonly isOurs?: (clientToken: string) => boolean
  /** Refuses a request before its body is read. Default: nobody. */
  readonly admit?: (request: BrokerRequest) => BrokerError | null
  /** Answers with events. Default: ends the answer. */
  readonly openStream?: ApiOptions['openStream']
}

/** The HTTP front. */
export interface HttpServer {
  /** Take other routes by exact path, without parameters; every other target goes to the broker. */
  readonly app: FastifyInstance
  /** What was refused before there was a request, by reason. */
  readonly refusals: Connections['refusals']
  readonly openConnections: () => number
  /** Stops accepting, lets answers in flight go out, and cuts what is left at the deadline (SEC-372). */
  stop (deadlineMs: number): Promise<void>
}

/** How long connections without a request stay open once the server stops: their next request may be on its way. */
const stopGraceMs = 300

/** The route that all of the API takes; Fastify sees no target of a client's making (SEC-017). */
const apiRoute = '/v1/*'

/**
 * Builds the HTTP front. Listen with `app.listen`. Anything but an exact registered path, by its raw
 * text, is the API's, which understands targets by itself; bodies are read by the API too, so
 * other routes have none.
 */
export function createHttpServer (options: HttpServerOptions): HttpServer {
  const limits: HttpLimits = { ...httpLimits, ...options.limits }
  const clientAddress = createClientAddress(options.trustedProxies ?? [])
  const connections = createConnections({ limits, clientAddress, clock: options.clock })
  const exactPaths = new Set<string>()
  const servers: Server[] = []
  let stopping = false

  const serve = createApi({
    broker: options.broker,
    newRequestId: options.newRequestId ?? requestId,
    clock: options.clock,
    logger: options.logger,
    limits,
    connections,
    clientAddress,
    isPublic: options.isPublic ?? ((path) => path.startsWith('auth/') && path.endsWith('/login')),
    isOurs: options.isOurs ?? (() => true),
    admit: options.admit ?? (() => null),
    openStream: options.openStream ?? ((response) => { response.end() }),
    isStopping: () => stopping
  })

  function createServer (handler: Parameters<typeof createPlainServer>[1]): Server {
    const settings = {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.timeoutCheckMs,
      requireHostHeader: false,
      insecureHTTPParser: false,
      optimizeEmptyRequests: true
    }
    const server = options.tls === undefined
      ? createPlainServer(settings, handler)
      : createTlsServer({ ...settings, ...options.tls.options() }, handler)
    connections.watch(server, options.tls === undefined ? 'connection' : 'secureConnection')
    if (options.tls !== undefined) options.tls.follow(server)
    servers.push(server)
    return server
  }

  /** Holds other routes to the API's rules on HTTP itself; what breaks them is the API's, and audited. */
  function checkTransport (request: FastifyRequest, reply: FastifyReply, next: () => void): void {
    if (readHeaders(request.raw).refusal === null) next()
    else serve(request.raw, reply.raw, request.originalUrl)
  }

  const app = fastify({
    serverFactory: createServer,
    rewriteUrl (request) {
      const target = request.url ?? ''
      const query = target.indexOf('?')
      return exactPaths.has(query === -1 ? target : target.slice(0, query)) ? target : '/v1/-'
    },
    clientErrorHandler: connections.onClientError,
    genReqId: () => '',
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle'
  })
  app.addHook('onRoute', (route) => {
    if (route.url === apiRoute) return
    exactPaths.add(route.url)
    route.onRequest = [checkTransport, ...[route.onRequest ?? []].flat()]
  })
  for (const method of Object.values(standIns)) app.addHttpMethod(method)
  for (const method of app.supportedMethods) app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  app.setErrorHandler((error, request, reply) => {
    logFailure(options.logger, request.id, error)
    reply.hijack()
    writeError(reply.raw, error, [])
  })
  app.all(apiRoute, (request, reply) => { serve(request.raw, reply.raw, request.originalUrl) })
  app.setNotFoundHandler((request, reply) => { serve(request.raw, reply.raw, request.originalUrl) })

  return {
    app,
    refusals: connections.refusals,
    openConnections: connections.open,
    async stop (deadlineMs) {
      stopping = true
      const cut = setTimeout(() => { for (const server of servers) server.closeAllConnections() }, deadlineMs)
      // Closing an HTTP server also closes its idle connections, among them those whose next request
      // is on its way and would get no answer (FLT-016). Each is let go with its next answer instead.
      for (const server of servers) NetServer.prototype.close.call(server)
      const graceEndMs = performance.now() + Math.min(stopGraceMs, deadlineMs)
      while (connections.open() > 0 && performance.now() < graceEndMs) await delay(10)
      await app.close()
      clearTimeout(cut)
    }
  }
}
