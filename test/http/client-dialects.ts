import { once } from 'node:events'
import net from 'node:net'

/** A request as a test names it; what a client adds to it is the client's dialect. */
export interface Spoken {
  readonly line: string
  readonly token?: string
  readonly wrapTtl?: string
  /** As the client wrote it, spaces included. */
  readonly body?: string
}

/** The bytes of a request, in the pieces in which they were sent. */
export type Dialect = (spoken: Spoken) => string[]

const host = 'Host: 127.0.0.1:8200'

function tokenOf (spoken: Spoken, name = 'X-Vault-Token'): string[] {
  return spoken.token === undefined ? [] : [`${name}: ${spoken.token}`]
}

function lengthOf (body: string, name = 'Content-Length'): string {
  return `${name}: ${Buffer.byteLength(body)}`
}

function headOf (line: string, headers: readonly string[]): string {
  return `${[`${line} HTTP/1.1`, ...headers].join('\r\n')}\r\n\r\n`
}

/** hvac 2.4 over requests 2.34: head and body apart, a length with LIST and DELETE too. */
export const hvac: Dialect = (spoken) => {
  const { line, wrapTtl, body } = spoken
  const head = headOf(line, [
    host, 'User-Agent: python-requests/2.34.2', 'Accept-Encoding: gzip, deflate', 'Accept: */*', 'Connection: keep-alive',
    'X-Vault-Request: true', ...tokenOf(spoken), ...wrapTtl === undefined ? [] : [`X-Vault-Wrap-TTL: ${wrapTtl}`],
    ...line.startsWith('GET ') ? [] : [lengthOf(body ?? '')],
    ...body === undefined ? [] : ['Content-Type: application/json']
  ])
  return body === undefined ? [head] : [head, body]
}

/** The Go client of bao 2.6 and vault 1.23: no content type, its own spelling of the wrapping header. */
export const goClient: Dialect = (spoken) => {
  const { line, wrapTtl, body } = spoken
  return [headOf(line, [
    host, 'User-Agent: Go-http-client/1.1', ...body === undefined ? [] : [lengthOf(body)], 'X-Vault-Request: true',
    ...tokenOf(spoken), ...wrapTtl === undefined ? [] : [`X-Vault-Wrap-Ttl: ${wrapTtl}`], 'Accept-Encoding: gzip'
  ]) + (body ?? '')]
}

/** Terraform's http data source 3.6. */
export const terraformHttp: Dialect = (spoken) => {
  const { line, body } = spoken
  return [headOf(line, [
    host, 'User-Agent: Go-http-client/1.1', ...body === undefined ? [] : [lengthOf(body)], ...tokenOf(spoken), 'Accept-Encoding: gzip'
  ]) + (body ?? '')]
}

/** node-vault 0.12 over axios 1: a form's content type on POST without a body, a length with LIST. */
export const nodeVault: Dialect = (spoken) => axios(spoken, [])

/** hashi-vault-js 0.5: an empty namespace with everything. */
export const hashiVaultJs: Dialect = (spoken) => axios(spoken, ['X-Application-Name: hashi-vault-js', 'X-Vault-Namespace: '])

function axios (spoken: Spoken, more: readonly string[]): string[] {
  const { line, wrapTtl, body } = spoken
  const type = body !== undefined ? 'application/json' : line.startsWith('POST ') ? 'application/x-www-form-urlencoded' : null
  const isEmpty = body === undefined && /^(?:POST|PUT|LIST) /.test(line)
  return [headOf(line, [
    'Accept: application/json, text/plain, */*', ...type === null ? [] : [`Content-Type: ${type}`],
    ...more, ...wrapTtl === undefined ? [] : [`X-Vault-Wrap-TTL: ${wrapTtl}`], ...tokenOf(spoken), 'User-Agent: axios/1.21.1',
    ...body === undefined ? [] : [lengthOf(body)], 'Accept-Encoding: gzip, compress, deflate, br', host, 'Connection: keep-alive',
    ...isEmpty ? ['Content-Length: 0'] : []
  ]) + (body ?? '')]
}

/** `@litehex/node-vault` 1.1 over fetch: JSON called plain text, LIST without a length. */
export const litehex: Dialect = (spoken) => {
  const { line, body } = spoken
  return [headOf(line, [
    'host: 127.0.0.1:8200', 'connection: keep-alive', ...tokenOf(spoken),
    ...body === undefined ? [] : ['content-type: text/plain;charset=UTF-8'], 'accept: */*', 'accept-language: *', 'sec-fetch-mode: cors',
    'user-agent: node', 'accept-encoding: gzip, deflate', ...body === undefined ? [] : [lengthOf(body, 'content-length')]
  ]) + (body ?? '')]
}

/** vault-action 3.4 over got: an empty namespace with everything. */
export const vaultAction: Dialect = (spoken) => {
  const { line, body } = spoken
  return [headOf(line, [
    'user-agent: got (https://github.com/sindresorhus/got)', 'x-vault-namespace: ', ...tokenOf(spoken, 'x-vault-token'),
    ...body === undefined ? [] : ['accept: application/json', 'content-type: application/json', lengthOf(body, 'content-length')],
    'accept-encoding: gzip, deflate, br', host, 'Connection: keep-alive'
  ]) + (body ?? '')]
}

/** An answer taken off a connection that stays open. */
export interface Heard {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** One connection on which a client speaks, request after request. */
export interface Conversation {
  /** @throws when the connection ends before a whole answer came. */
  say (spoken: Spoken): Promise<Heard>
  end (): void
}

export async function converse (port: number, dialect: Dialect): Promise<Conversation> {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
  await once(socket, 'connect')
  let received = Buffer.alloc(0)
  let wake = () => {}
  let ended = false
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    wake()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    ended = true
    wake()
  })

  function take (): Heard | null {
    const end = received.indexOf('\r\n\r\n')
    if (end === -1) return null
    const [first = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n')
    const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
    const whole = end + 4 + Number(headers.get('content-length') ?? 0)
    if (received.length < whole) return null
    const body = received.subarray(end + 4, whole).toString('utf8')
    received = received.subarray(whole)
    return { status: Number(first.split(' ')[1]), headers, body }
  }

  return {
    async say (spoken) {
      for (const piece of dialect(spoken)) await new Promise((resolve) => socket.write(piece, resolve))
      for (;;) {
        const heard = take()
        if (heard !== null) return heard
        if (ended) throw new Error(`no whole answer to ${spoken.line}: ${received.toString('latin1')}`)
        await new Promise<void>((resolve) => { wake = resolve })
      }
    },
    end: () => { socket.destroy() }
  }
}
