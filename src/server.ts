import { createLogger } from '../config/logger.ts'
import { ConfigError, loadConfig } from '../config/config.ts'
import { createApp, type App } from './app.ts'
import { openStore } from './open-store.ts'
import { applyConfigDir, writeRootToken } from './provision.ts'

/** How long a stop may take; then what is left is cut (SEC-372). */
const stopDeadlineMs = 8000

process.umask(0o077)
const config = await refuseOnError(() => loadConfig(process.env, process.argv.slice(2)))
const logger = createLogger(config.logLevel ?? 'info')
const opened = await refuseOnError(() => openStore(config, process.env, logger))
const app = await refuseOnError(() => createApp({ config, logger, opened }))
await refuseOnError(async () => {
  await applyConfigDir(app, config, opened.store, logger)
  await writeRootToken(app, config, logger)
})
const development = config.development
  ? await refuseOnError(async () => (await import('./development.ts')).prepareDevelopment(app, config))
  : null
stopOnSignals(app)
const listening = await refuseOnError(() => app.listen())
// Fastify calls every server of our making http.
const address = config.tlsCertFile === null ? listening : listening.replace(/^http:/, 'https:')
logger.info({ address, store: opened.storageType, development: config.development }, 'the broker serves')
if (config.insecureHttp === 'yes') logger.warn('LATCHKEY_INSECURE_HTTP is set: tokens and credentials travel in clear up to the proxy')
development?.announce(address)

/** Runs a step of the start; what it refuses is told in plain words, and the process ends. */
async function refuseOnError<T> (step: () => T | Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    const message = error instanceof Error ? error.message : 'unknown failure'
    process.stderr.write(`latchkey does not start: ${message}\n`)
    process.exit(error instanceof ConfigError ? 2 : 1)
  }
}

function stopOnSignals (app: App): void {
  let stopping = false

  async function stop (code: number): Promise<void> {
    if (stopping) process.exit(code === 0 ? 130 : code)
    stopping = true
    try {
      await app.close(stopDeadlineMs)
      await development?.close()
      process.exit(code)
    } catch (error) {
      logger.fatal({ err: error }, 'the stop did not end well')
      process.exit(1)
    }
  }

  process.on('SIGTERM', () => void stop(0))
  process.on('SIGINT', () => void stop(0))
  process.on('SIGHUP', () => void app.reload().catch((error: unknown) => logger.error({ err: error }, 'the reload failed')))
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'a defect: the broker stops')
    void stop(70)
  })
}
