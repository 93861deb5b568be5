// The processor's work with Kafka Streams, as its user would write it: windows of 10 s with 5 s of grace over three
// measurements of each sensor, an alert when a temperature rises above 30, exactly_once_v2, stores in memory.
//
//     scripts/kafka java scripts/bench.d/streams/WindowsAndAlerts.java BOOTSTRAP APPLICATION RECORDS STATE-DIRECTORY
//
// Reads sensor-data, writes windows to streams-analytics and alerts to streams-alerts. Prints one line of JSON every half
// second, {"processed": records, "cpu": seconds of this process, "at": seconds since its start}, and ends when it has
// processed RECORDS.

import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public final class WindowsAndAlerts {
    private static final JsonFactory JSON = new JsonFactory();
    private static final String[] METRICS = {"temperature", "humidity", "pressure"};
    private static final double BOUND = 30.0;
    private static final AtomicLong PROCESSED = new AtomicLong();

    /** What is needed of a reading; NaN for what it does not have. */
    record Reading(long millis, double temperature, double humidity, double pressure) {
        double metric(int at) {
            return at == 0 ? temperature : at == 1 ? humidity : pressure;
        }
    }

    /** Count, mean, squares (Welford), least, most, first, last of each metric. */
    static final class Stats {
        final long[] count = new long[3];
        final double[] mean = new double[3], squares = new double[3], least = new double[3], most = new double[3],
            first = new double[3], last = new double[3];

        Stats add(Reading reading) {
            for (int at = 0; at < 3; at++) {
                double value = reading.metric(at);
                if (Double.isNaN(value)) {
                    continue;
                }
                if (count[at]++ == 0) {
                    least[at] = most[at] = first[at] = value;
                }
                double away = value - mean[at];
                mean[at] += away / count[at];
                squares[at] += away * (value - mean[at]);
                least[at] = Math.min(least[at], value);
                most[at] = Math.max(most[at], value);
                last[at] = value;
            }
            return this;
        }
    }

    private static Reading parse(byte[] bytes) {
        double temperature = Double.NaN, humidity = Double.NaN, pressure = Double.NaN;
        long millis = 0;
        try (JsonParser parser = JSON.createParser(bytes)) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                JsonToken value = parser.nextToken();
                switch (name) {
                    case "timestamp" ->
                        millis = LocalDateTime.parse(parser.getText()).toInstant(ZoneOffset.UTC).toEpochMilli();
                    case "temperature" -> temperature = parser.getDoubleValue();
                    case "humidity" -> humidity = parser.getDoubleValue();
                    case "pressure" -> pressure = parser.getDoubleValue();
                    default -> {
                        if (value == JsonToken.START_OBJECT || value == JsonToken.START_ARRAY) {
                            parser.skipChildren();
                        }
                    }
                }
            }
        } catch (java.io.IOException error) {
            throw new IllegalArgumentException(error);
        }
        return new Reading(millis, temperature, humidity, pressure);
    }

    /** A binary form: a JSON one would make the store's changelog slower. */
    private static Serde<Stats> statsSerde() {
        Serializer<Stats> serializer = (topic, stats) -> {
            if (stats == null) {
                return null;
            }
            ByteBuffer buffer = ByteBuffer.allocate(3 * 7 * 8);
            for (int at = 0; at < 3; at++) {
                buffer.putLong(stats.count[at]).putDouble(stats.mean[at]).putDouble(stats.squares[at])
                    .putDouble(stats.least[at]).putDouble(stats.most[at]).putDouble(stats.first[at])
                    .putDouble(stats.last[at]);
            }
            return buffer.array();
        };
        Deserializer<Stats> deserializer = (topic, bytes) -> {
            if (bytes == null) {
                return null;
            }
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            Stats stats = new Stats();
            for (int at = 0; at < 3; at++) {
                stats.count[at] = buffer.getLong();
                stats.mean[at] = buffer.getDouble();
                stats.squares[at] = buffer.getDouble();
                stats.least[at] = buffer.getDouble();
                stats.most[at] = buffer.getDouble();
                stats.first[at] = buffer.getDouble();
                stats.last[at] = buffer.getDouble();
            }
            return stats;
        };
        return Serdes.serdeFrom(serializer, deserializer);
    }

    /** Event time is the reading's own. */
    public static final class EventTime implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return record.value() instanceof Reading reading ? reading.millis() : partitionTime;
        }
    }

    /** Tells when a temperature rises above the bound, once until it falls below it again. */
    private static final class Threshold implements Processor<String, Reading, String, String> {
        private ProcessorContext<String, String> context;
        private KeyValueStore<String, byte[]> firing;

        @Override
        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            firing = context.getStateStore("firing");
        }

        @Override
        public void process(Record<String, Reading> record) {
            double value = record.value().temperature();
            boolean fires = firing.get(record.key()) != null;
            if (!fires && value > BOUND) {
                firing.put(record.key(), new byte[] {1});
                String alert = String.format(Locale.ROOT, "{\"sensor_id\":\"%s\",\"temperature\":%s,\"bound\":%s}",
                    record.key(), value, BOUND);
                context.forward(record.withValue(alert));
            } else if (fires && value <= BOUND) {
                firing.delete(record.key());
            }
            PROCESSED.incrementAndGet();
        }
    }

    private static List<KeyValue<String, String>> tell(String sensor, long start, long end, Stats stats) {
        List<KeyValue<String, String>> told = new java.util.ArrayList<>(3);
        for (int at = 0; at < 3; at++) {
            if (stats.count[at] == 0) {
                continue;
            }
            StringBuilder text = new StringBuilder(200).append("{\"sensor_id\":\"").append(sensor)
                .append("\",\"metric\":\"").append(METRICS[at]).append("\",\"start\":").append(start)
                .append(",\"end\":").append(end).append(",\"count\":").append(stats.count[at])
                .append(",\"mean\":").append(stats.mean[at]).append(",\"min\":").append(stats.least[at])
                .append(",\"max\":").append(stats.most[at]).append(",\"stddev\":")
                .append(Math.sqrt(stats.squares[at] / stats.count[at])).append(",\"first\":").append(stats.first[at])
                .append(",\"last\":").append(stats.last[at]).append('}');
            told.add(KeyValue.pair(sensor, text.toString()));
        }
        return told;
    }

    private static Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        Serde<Reading> readings = Serdes.serdeFrom(
            (topic, reading) -> { throw new UnsupportedOperationException(); },
            (topic, bytes) -> bytes == null ? null : parse(bytes));
        KStream<String, Reading> input = builder.stream("sensor-data",
            Consumed.with(Serdes.String(), readings).withTimestampExtractor(new EventTime()));
        Duration size = Duration.ofSeconds(10), grace = Duration.ofSeconds(5);
        input.groupByKey(Grouped.with(Serdes.String(), readings))
            .windowedBy(TimeWindows.ofSizeAndGrace(size, grace))
            .emitStrategy(EmitStrategy.onWindowClose())
            .aggregate(Stats::new, (sensor, reading, stats) -> stats.add(reading),
                Materialized.<String, Stats>as(Stores.inMemoryWindowStore("windows", size.plus(grace), size, false))
                    .withKeySerde(Serdes.String()).withValueSerde(statsSerde()))
            .toStream()
            .flatMap((window, stats) -> tell(window.key(), window.window().start(), window.window().end(), stats))
            .to("streams-analytics", Produced.with(Serdes.String(), Serdes.String()));
        builder.addStateStore(Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("firing"), Serdes.String(),
            Serdes.ByteArray()).withLoggingEnabled(Map.of()));
        input.process(Threshold::new, "firing").to("streams-alerts", Produced.with(Serdes.String(), Serdes.String()));
        return builder.build();
    }

    public static void main(String[] arguments) throws InterruptedException {
        long wanted = Long.parseLong(arguments[2]);
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Path.of(arguments[3]).toString());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);

        KafkaStreams streams = new KafkaStreams(topology(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long start = System.nanoTime();
        while (true) {
            long processed = PROCESSED.get();
            System.out.printf(Locale.ROOT, "{\"processed\":%d,\"cpu\":%.3f,\"at\":%.3f}%n", processed,
                system.getProcessCpuTime() / 1e9, (System.nanoTime() - start) / 1e9);
            if (processed >= wanted) {
                break;
            }
            Thread.sleep(500);
        }
        streams.close(Duration.ofSeconds(30));
    }
}
