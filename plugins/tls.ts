import { readFileSync, statSync } from 'node:fs'
import type { Server } from 'node:http'
import { Server as TlsServer, createSecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls'

/** Where the listener's TLS files are. */
export interface TlsSettings {
  /** PEM: the certificate, then its chain. */
  readonly certificateFile: string
  readonly keyFile: string
  /** PEM: when given, clients must show a certificate that it signed. */
  readonly clientCaFile?: string
}

/** The listener's TLS, kept in step with its files. */
export interface TlsFiles {
  /** Settings for a new server. */
  options (): TlsOptions
  /** Gives a server what `reload` will find. */
  follow (server: Server): void
  /**
   * Reads the files again; new connections use what they hold. Answers null, or why the files were
   * not taken, in which case the former ones stay in use (SEC-250).
   */
  reload (): Error | null
}

const HANDSHAKE_TIMEOUT_MS = 5000
/** Forward secrecy and authenticated encryption only; TLS 1.3 has its own list, all of that kind. */
const ciphers = [
  'TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'
].join(':')

/** Reads a listener's TLS files. @throws Error when they cannot be read, or do not fit together. */
export function openTls (settings: TlsSettings): TlsFiles {
  const servers: TlsServer[] = []
  let context = readContext(settings)

  return {
    options: () => ({
      ...context,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      requestCert: settings.clientCaFile !== undefined,
      rejectUnauthorized: settings.clientCaFile !== undefined,
      ALPNProtocols: ['http/1.1']
    }),
    follow (server) {
      if (server instanceof TlsServer) servers.push(server)
    },
    reload () {
      try {
        context = readContext(settings)
        for (const server of servers) server.setSecureContext(context)
        return null
      } catch (error) {
        return new Error('the TLS files could not be taken; the former ones stay in use', { cause: error })
      }
    }
  }
}

function readContext ({ certificateFile, keyFile, clientCaFile }: TlsSettings): SecureContextOptions {
  if ((statSync(keyFile).mode & 0o007) !== 0) throw new Error(`the TLS key ${keyFile} may not be open to everybody`)
  const context: SecureContextOptions = {
    cert: readFileSync(certificateFile),
    key: readFileSync(keyFile),
    ...(clientCaFile === undefined ? {} : { ca: readFileSync(clientCaFile) }),
    minVersion: 'TLSv1.2',
    ciphers,
    honorCipherOrder: true
  }
  createSecureContext(context)
  return context
}
