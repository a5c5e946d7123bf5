import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expirationText, type Credentials } from './credentials.ts'
import { codeOf, Failure } from './failure.ts'
import type { Parts } from './parts.ts'

/** Where credentials are; everything else is not there. */
const credentialPath = '/credentials'

/** Headers of browsers, and of proxies that were made to ask for somebody else (SEC-323, SEC-324). */
const strangers = /^(?:origin|referer|sec-.*|forwarded|x-forwarded.*|x-real-ip|via)$/

const unavailable = JSON.stringify({ Code: 'CredentialsUnavailable', Message: 'there are no credentials that live long enough' })

/** Bounds on callers, which are programs of this machine. */
const limits = {
  maxHeaderSize: 16_384,
  headersTimeout: 5000,
  requestTimeout: 5000,
  connectionsCheckingInterval: 1000,
  keepAliveTimeout: 5000,
  /** Refused by us, as any other wrong name. */
  requireHostHeader: false
}
const connectionsMax = 256

export interface CredentialServerOptions {
  /** 127.0.0.1 or ::1, and a port; 0 takes a free one. */
  readonly listen: string
  /** What callers have to show. */
  readonly authorization: string
  readonly give: () => Promise<Credentials | null>
  readonly parts: Pick<Parts, 'now' | 'steady'>
}

export interface CredentialServer {
  /** For AWS_CONTAINER_CREDENTIALS_FULL_URI. */
  readonly url: string
  close (): Promise<void>
}

/**
 * Serves container credentials (docs.aws.amazon.com/sdkref, "Container credential provider") to
 * programs of this machine that can show the authorization.
 *
 * @throws Failure `usage` for an address beyond this machine, and for one in use (SEC-320).
 */
export async function openCredentialServer (options: CredentialServerOptions): Promise<CredentialServer> {
  const { host, port } = parseListen(options.listen)
  const expected = digest(options.authorization)
  let hosts: ReadonlySet<string> = new Set()

  /** Why a request gets nothing, as a status; null where it does. */
  function refusal ({ method, url, headers, headersDistinct }: IncomingMessage): number | null {
    const { host: named = [], authorization = [] } = headersDistinct
    if (named.length !== 1 || !hosts.has(named[0] ?? '')) return 403
    if (Object.keys(headers).some((name) => strangers.test(name))) return 403
    // Compared as digests, which have one length: what is wrong takes as long as what is right.
    const isRight = timingSafeEqual(digest(authorization[0] ?? ''), expected)
    if (authorization.length !== 1 || !isRight) return 403
    if (method !== 'GET') return 405
    return url === credentialPath ? null : 404
  }

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const status = refusal(request)
    if (status !== null) {
      response.writeHead(status, { ...commonHeaders, 'content-length': 0, connection: 'close', ...(status === 405 && { allow: 'GET' }) }).end()
      return
    }
    const credentials = await options.give()
    const text = credentials === null ? unavailable : containerText(credentials, options.parts)
    response.writeHead(credentials === null ? 503 : 200, {
      ...commonHeaders, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text)
    }).end(text)
  }

  const server = createServer(limits, (request, response) => { void answer(request, response) })
  server.maxConnections = connectionsMax
  const bound = await new Promise<number>((resolve, reject) => {
    server.once('error', (error) => reject(new Failure('usage', `${options.listen} cannot be listened on: ${codeOf(error)}`, { cause: error })))
    server.listen({ host, port, exclusive: true }, () => resolve((server.address() as AddressInfo).port))
  })
  hosts = new Set([`127.0.0.1:${bound}`, `[::1]:${bound}`, `localhost:${bound}`])
  return {
    url: `http://${host === '::1' ? '[::1]' : host}:${bound}${credentialPath}`,
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }
}

const commonHeaders = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

function parseListen (text: string): { host: string, port: number } {
  const [, host, port] = /^(127\.0\.0\.1|\[::1\]):(\d{1,5})$/.exec(text) ?? []
  if (host === undefined || Number(port) > 65_535) {
    throw new Failure('usage', 'the sidecar listens on this machine only: 127.0.0.1:port or [::1]:port')
  }
  return { host: host.replace(/[[\]]/g, ''), port: Number(port) }
}

/** Exactly what AWS's clients read. */
function containerText (credentials: Credentials, parts: Pick<Parts, 'now' | 'steady'>): string {
  const { accessKeyId, secretAccessKey, sessionToken, end } = credentials
  return JSON.stringify({
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration: expirationText(end, parts)
  })
}

function digest (text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
