// Counts the records of a topic by their values with Kafka Streams, exactly once (processing.guarantee=exactly_once_v2).
//
//     scripts/kafka java tests/clients/CountPerValue.java BOOTSTRAP APPLICATION INPUT OUTPUT STATE-DIRECTORY
//
// Every record of INPUT goes through a repartition topic, changes a state store with a changelog, and makes one record
// of OUTPUT: the value as its key, the new count as its value, in text. So OUTPUT, read committed, has the counts 1, 2,
// 3 … of every value, each once and in order, whatever happened to this program meanwhile. Prints "counted N" every
// thousand records, committed or not. Runs until it is told to stop, or dies.

import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

public final class CountPerValue {
    private static final int THREADS = 2;
    private static final int TOLD_EVERY = 1_000;

    public static void main(String[] arguments) throws InterruptedException {
        String bootstrap = arguments[0], application = arguments[1], input = arguments[2], output = arguments[3];
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Path.of(arguments[4]).toString());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, THREADS);
        // Every change of a count is told, not only the last one before a commit.
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        // A killed predecessor is waited for no longer than brokers allow at least.
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), 6_000);

        KafkaStreams streams = new KafkaStreams(topology(input, output), settings);
        CountDownLatch stopped = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            stopped.countDown();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        stopped.await();
        System.exit(1);
    }

    private static Topology topology(String input, String output) {
        StreamsBuilder builder = new StreamsBuilder();
        AtomicLong counted = new AtomicLong();
        builder.stream(input, Consumed.with(Serdes.Bytes(), Serdes.String()))
            .groupBy((key, value) -> value, Grouped.with("by-value", Serdes.String(), Serdes.String()))
            // In memory, so that every start reads the whole changelog.
            .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts"))
                .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
            .toStream()
            .mapValues(count -> Long.toString(count))
            .peek((value, count) -> {
                long total = counted.incrementAndGet();
                if (total % TOLD_EVERY == 0) {
                    System.out.println("counted " + total);
                }
            })
            .to(output, Produced.with(Serdes.String(), Serdes.String()));
        return builder.build();
    }
}
