import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'

/**
 * Asks the broker on this machine for its health, for a container's HEALTHCHECK: exits 0 when it
 * answers 200. It looks where the broker was told to listen; the certificate is not checked, since
 * it is made for another name. Where client certificates are required it has none, and is content
 * with a connection.
 */
const [, host = '', port = '8200'] = /^(.*):(\d+)$/.exec(process.env['LATCHKEY_LISTEN'] ?? '') ?? []
const local: ReadonlyMap<string, string> = new Map([['', '127.0.0.1'], ['0.0.0.0', '127.0.0.1'], ['[::]', '::1']])
const target = { host: local.get(host) ?? host.replace(/^\[|\]$/g, ''), port: Number(port), timeout: 2500 }
const isSet = (name: string) => (process.env[name] ?? '') !== ''
const end = (healthy: boolean) => process.exit(healthy ? 0 : 1)

if (isSet('LATCHKEY_TLS_CLIENT_CA_FILE')) {
  const socket = connect(target, () => end(true))
  socket.on('timeout', () => end(false))
  socket.on('error', () => end(false))
} else {
  const ask = isSet('LATCHKEY_TLS_CERT_FILE') ? httpsRequest : httpRequest
  const request = ask({ ...target, path: '/v1/sys/health', rejectUnauthorized: false }, ({ statusCode }) => end(statusCode === 200))
  request.on('timeout', () => end(false))
  request.on('error', () => end(false))
  request.end()
}
