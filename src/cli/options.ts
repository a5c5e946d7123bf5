import type { Options } from './args.ts'

/** Options of every command that talks to the broker. */
export const connectionOptions: Options = {
  address: { value: 'url', meaning: 'where the broker is (LATCHKEY_ADDR)' },
  'ca-file': { value: 'file', meaning: 'authorities to trust, PEM (LATCHKEY_CA_FILE)' },
  'insecure-http': { meaning: 'send secrets in clear over http:// beyond this machine' }
}

/** Options of every command that uses a token. */
export const tokenOptions: Options = {
  ...connectionOptions,
  'token-file': { value: 'file', meaning: 'the file of the token (LATCHKEY_TOKEN_FILE)' }
}

/** Options of every command that takes paths. */
export const pathOptions: Options = {
  ...tokenOptions,
  'no-resolve': { meaning: 'use paths as they are, without asking for the present names of mounts' }
}

/** Options of every command that can log in, besides those of a token. */
export const identityOptions: Options = {
  'role-id-file': { value: 'file', meaning: 'the role_id to log in with (LATCHKEY_ROLE_ID_FILE)' },
  'secret-id-file': { value: 'file', meaning: 'the secret_id (LATCHKEY_SECRET_ID_FILE)' },
  'wrapped-by': { value: 'path', meaning: 'the secret_id is wrapped, and this path made it (LATCHKEY_WRAPPED_BY)' },
  'auth-mount': { value: 'name', meaning: 'the present name of the mount to log in at (LATCHKEY_AUTH_MOUNT)' }
}

/** Options of every command that fetches AWS credentials. */
export const wantedOptions: Options = {
  mount: { value: 'path', meaning: 'the own path of the AWS mount; aws unless given' },
  ttl: { value: 'duration', meaning: 'how long they are to live: 30m; the role says unless given' },
  'role-arn': { value: 'arn', meaning: 'which AWS role, where the role has several' },
  'session-name': { value: 'name', meaning: 'the name of the AWS session, where the role lets you choose' }
}

/** What may be written for programs that read files; each is the name of its file. */
export const sinkKinds = ['credentials', 'token'] as const

/** What is a sidecar's own. */
export const sidecarOptions: Options = {
  listen: { value: 'address', meaning: 'where to serve, on this machine only: 127.0.0.1:9911; a free port unless given' },
  'authorization-file': { value: 'file', meaning: 'where to put what callers have to show; a folder of its own unless given' },
  'check-interval': { value: 'duration', meaning: 'how often to look whether the token was revoked; 10s unless given' },
  once: { meaning: 'write the files of --sink and end, without serving' },
  'sink-folder': { value: 'folder', meaning: 'a folder of its own, for the files of --sink' },
  sink: { value: 'kind', oneOf: sinkKinds, isList: true, meaning: 'also write a file: credentials for AWS\'s clients, or the broker\'s token' }
}
