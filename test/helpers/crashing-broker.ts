import { createLogger } from '../../config/logger.ts'
import { loadConfig } from '../../config/config.ts'
import { createApp } from '../../src/app.ts'
import { prepareDevelopment } from '../../src/development.ts'
import { openStore } from '../../src/open-store.ts'
import { crashingStore, crashPoints, killSelf } from './crash-points.ts'

/*
 * A broker as `npm start` starts it, with two additions: `CRASH_AT=<point>:<n>` makes it end itself
 * at a point as `kill -9` would, `CLOCK_OFFSET_SECONDS` puts its clock forward. Both wrap ports;
 * the broker itself knows neither.
 */
const { CRASH_AT: crashAt = '', CLOCK_OFFSET_SECONDS: offset = '0', ...environment } = process.env
const config = loadConfig(environment, process.argv.slice(2))
const logger = createLogger(config.logLevel ?? 'info')
const opened = await openStore(config, environment, logger)
const [word, nth] = crashAt.split(':')
const point = crashPoints.find((known) => known === word)
const { clock } = opened
const app = await createApp({
  config,
  logger,
  opened: {
    ...opened,
    clock: { ...clock, now: () => clock.now() + Number(offset) * 1000 },
    store: point === undefined ? opened.store : crashingStore(opened.store, point, Number(nth), killSelf)
  }
})
await prepareDevelopment(app, config)
const address = await app.listen()
process.stdout.write(`${JSON.stringify({ address, msg: 'the broker serves' })}\n`)
process.on('SIGTERM', () => void app.close(8000).then(() => process.exit(0)))
