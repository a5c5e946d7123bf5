import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'

/**
 * Asks the broker on this machine for its health, for a container's HEALTHCHECK: exits 0 when it
 * answers 200. It looks where the broker was told to listen; its certificate is not checked, since
 * it is made for another name than loopback.
 */
const port = Number(/:(\d+)$/.exec(process.env['LATCHKEY_LISTEN'] ?? '')?.[1] ?? 8200)
const isTls = (process.env['LATCHKEY_TLS_CERT_FILE'] ?? '') !== ''
const ask = isTls ? httpsRequest : httpRequest
const request = ask({ host: '127.0.0.1', port, path: '/v1/sys/health', timeout: 2500, rejectUnauthorized: false }, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1)
})
request.on('timeout', () => process.exit(1))
request.on('error', () => process.exit(1))
request.end()
